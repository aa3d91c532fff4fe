// Builds and changes elements. Data reaches the document as text only: nothing here reads markup.

/** An element with attributes and children; a child is a node or a text. */
export function element(name, attributes = {}, ...children) {
  const made = document.createElement(name);
  for (const [key, value] of Object.entries(attributes)) {
    if (value !== null && value !== undefined) made.setAttribute(key, value);
  }
  made.append(...children);
  return made;
}

/** Sets a text only where it differs, so that a selection in it outlives the tick. */
export function setText(node, text) {
  if (node.textContent !== text) node.textContent = text;
}

/** Sets an attribute only where it differs; null takes it away. */
export function setAttribute(node, name, value) {
  if (value === null) node.removeAttribute(name);
  else if (node.getAttribute(name) !== value) node.setAttribute(name, value);
}

/**
 * Makes the children of `parent` one for each item, in order. A child with the same key is kept and filled again, so
 * that what a reader opened, focused or selected in it stays.
 */
export function fillList(parent, items, { keyOf, make, fill }) {
  const present = new Map([...parent.children].map((child) => [child.dataset.key, child]));
  let place = parent.firstElementChild;
  for (const item of items) {
    const key = String(keyOf(item));
    const child = present.get(key) ?? keyed(make(item), key);
    present.delete(key);
    fill(child, item);
    if (child === place) place = place.nextElementSibling;
    else parent.insertBefore(child, place);
  }
  for (const left of present.values()) left.remove();
}

function keyed(node, key) {
  node.dataset.key = key;
  return node;
}

/** A table with a caption for those who hear it, a row of headings and an empty body. */
export function table(caption, headings) {
  const row = element("tr");
  for (const { text, number, title } of headings) {
    row.append(element("th", { scope: "col", class: number ? "number" : null, title }, text));
  }
  const body = element("tbody");
  const whole = element("table", {}, element("caption", { class: "unseen" }, caption), element("thead", {}, row), body);
  return { node: element("div", { class: "scrolls" }, whole), body };
}

/** A row of empty cells, one for each class. */
export function row(...classes) {
  const made = element("tr");
  for (const name of classes) made.append(element("td", { class: name || null }));
  return made;
}
