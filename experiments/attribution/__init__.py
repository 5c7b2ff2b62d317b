"""Attribution: explain, judge, check."""
