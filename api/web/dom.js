// Builds elements. Text always goes in as text, never as HTML.

export function h(tag, props = {}, ...children) {
  const [name, ...classes] = tag.split(".");
  const element = document.createElement(name || "div");
  if (classes.length) element.classList.add(...classes);
  for (const [key, value] of Object.entries(props)) {
    if (value === null || value === undefined || value === false) continue;
    if (key.startsWith("on")) element.addEventListener(key.slice(2), value);
    else if (key in element && typeof value !== "string" && key !== "list") element[key] = value;
    else element.setAttribute(key, value === true ? "" : value);
  }
  fill(element, children, true);
  return element;
}

// Puts children into an element, in the place of what is there; null and false are left out.
export function fill(element, children, keep = false) {
  const shown = children.flat().filter((child) => child !== null && child !== undefined && child !== false);
  if (keep) element.append(...shown);
  else element.replaceChildren(...shown);
}

const SVG = "http://www.w3.org/2000/svg";

export function svg(tag, props = {}, ...children) {
  const element = document.createElementNS(SVG, tag);
  for (const [key, value] of Object.entries(props)) element.setAttribute(key, value);
  element.append(...children.flat());
  return element;
}

const ICONS = {
  send: "M4 12h15M13 6l6 6-6 6",
  stop: "M7 7h10v10H7z",
  close: "M6 6l12 12M18 6L6 18",
  plus: "M12 5v14M5 12h14",
  left: "M14 6l-6 6 6 6",
  right: "M10 6l6 6-6 6",
  up: "M7 11v9H4v-9zM7 11l4-8c1.7 0 2.5 1 2.5 2.5L13 9h5.5c1.200 0 2 1 1.800 2.200l-1.300 7c-.2 1-1 1.800-2 1.800H7",
  down: "M7 13V4H4v9zM7 13l4 8c1.7 0 2.5-1 2.5-2.5L13 15h5.5c1.200 0 2-1 1.800-2.200l-1.300-7c-.2-1-1-1.800-2-1.800H7",
  upload: "M12 16V5M7 10l5-5 5 5M5 19h14",
  bin: "M5 7h14M10 7V5h4v2M7 7l1 12h8l1-12",
  key: "M14.5 9.5a4 4 0 1 1-3.200-3.900L20 5v3h-2v2h-3z",
};

export function icon(name) {
  const path = svg("path", { d: ICONS[name], fill: "none", stroke: "currentColor", "stroke-width": "1.8", "stroke-linecap": "round", "stroke-linejoin": "round" });
  const picture = svg("svg", { viewBox: "0 0 24 24", class: "icon", "aria-hidden": "true" }, path);
  return picture;
}

export function notice(text) {
  const place = document.getElementById("notice");
  place.textContent = text;
  place.classList.add("shown");
  clearTimeout(notice.timer);
  notice.timer = setTimeout(() => place.classList.remove("shown"), 4000);
}
