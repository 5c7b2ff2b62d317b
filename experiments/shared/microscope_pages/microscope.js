// Search in all units, and arrow keys: left and right to the neighbours, up to
// the layer. Works from file:// as well, so nothing is fetched.
const box = document.querySelector('header input');
const list = document.getElementById('found');

function search() {
  const words = box.value.toLowerCase().split(/\s+/).filter(Boolean);
  const hits = words.length
    ? UNITS.filter(([, text]) => words.every((word) => text.includes(word)))
    : [];
  list.replaceChildren(...hits.slice(0, 60).map(([path, text]) => {
    const link = document.createElement('a');
    const image = document.createElement('img');
    const item = document.createElement('li');
    link.href = `${ROOT}${path}.html`;
    image.src = `${ROOT}${path}.jpg`;
    image.alt = '';
    link.append(image, text);
    item.append(link);
    return item;
  }));
  list.hidden = !hits.length;
}

box.addEventListener('input', search);
box.form.addEventListener('submit', (event) => {
  event.preventDefault();
  const first = list.querySelector('a');
  if (first) location.href = first.href;
});
document.addEventListener('keydown', (event) => {
  if (event.key === 'Escape') {
    box.value = '';
    search();
  }
  if (event.target === box || event.altKey || event.ctrlKey || event.metaKey) {
    return;
  }
  const rel = { ArrowLeft: 'prev', ArrowRight: 'next', ArrowUp: 'up' }[event.key];
  const link = rel && document.querySelector(`a[rel=${rel}]`);
  if (link) {
    event.preventDefault();
    location.href = link.href;
  }
});
