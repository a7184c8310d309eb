"""The script of figures: each can be saved as SVG and as PDF, whole or a panel alone, in colors of paper.

Both files are written from the same list of shapes, which are taken from the drawing as the light style of
the page shows it.
"""

from __future__ import annotations

from evaluation.report.pdf import PDF

LAYOUT = """
const PANELS_IN_A_ROW = 3, SMALL_IN_A_ROW = 5, SPACE = 26, MARGIN = 10;

function color(value, opacity) {
  const [red, green, blue, alpha = 1] = (value.match(/[\\d.]+/g) || []).map(Number);
  const shown = value !== "none" && alpha * opacity > 0;
  return shown ? {rgb: [red, green, blue], opacity: alpha * opacity} : null;
}

function shape(one, opacity) {
  const style = getComputedStyle(one), get = (name) => parseFloat(one.getAttribute(name) || 0);
  const points = {
    line: () => [[get("x1"), get("y1")], [get("x2"), get("y2")]],
    polygon: () => one.getAttribute("points").trim().split(" ").map((point) => point.split(",").map(Number)),
    rect: () => [[get("x"), get("y")], [get("width"), get("height")]],
    circle: () => [[get("cx"), get("cy")], [get("r"), get("r")]],
    text: () => [[get("x"), get("y")]],
  }[one.tagName]();
  return {
    kind: one.tagName,
    points,
    fill: one.tagName === "line" ? null : color(style.fill, opacity * style.fillOpacity),
    stroke: color(style.stroke, opacity * style.strokeOpacity),
    width: parseFloat(style.strokeWidth),
    dashes: style.strokeDasharray === "none" ? [] : style.strokeDasharray.match(/[\\d.]+/g).map(Number),
    text: one.tagName === "text" ? one.textContent : "",
    size: parseFloat(style.fontSize),
    bold: style.fontWeight >= 600,
    anchor: style.textAnchor,
  };
}

function shapes(parent, opacity, left, top) {
  return [...parent.children].flatMap((one) => {
    const seen = opacity * getComputedStyle(one).opacity;
    if (["g", "a"].includes(one.tagName)) return shapes(one, seen, left, top);
    if (!["line", "polygon", "rect", "circle", "text"].includes(one.tagName)) return [];
    const found = shape(one, seen), moved = one.tagName === "rect" || one.tagName === "circle" ? 1 : Infinity;
    found.points = found.points.map(([x, y], place) => place < moved ? [x + left, y + top] : [x, y]);
    return [found];
  });
}

function drawing(panels, chosen) {
  const holder = document.createElement("div");
  holder.className = "light aside";
  holder.style.setProperty("--paper", "#ffffff");
  holder.append(panels.cloneNode(true));
  document.body.append(holder);
  const drawn = [...holder.querySelectorAll("svg")].filter((_, place) => chosen < 0 || place === chosen);
  const row = panels.classList.contains("small") ? SMALL_IN_A_ROW : PANELS_IN_A_ROW;
  const found = {width: 0, height: 0, shapes: []};
  // Names may stand out a little at both sides.
  for (let start = 0, top = 0; start < drawn.length; start += row) {
    let left = MARGIN;
    for (const svg of drawn.slice(start, start + row)) {
      const {width, height} = svg.viewBox.baseVal;
      found.shapes.push(...shapes(svg, 1, left, top));
      found.width = Math.max(found.width, left + width);
      found.height = Math.max(found.height, top + height);
      left += width + SPACE;
    }
    top = found.height + SPACE;
  }
  holder.remove();
  return {...found, width: found.width + MARGIN, height: found.height + 4};
}
"""
"""From a figure of the page to shapes with their places and colors."""

SVG = """
const escaped = (text) => text.replace(/[&<>"]/g, (one) => `&#${one.charCodeAt(0)};`);

function svgShape(one) {
  const [[x, y], [more, other] = []] = one.points;
  const paint = (name, given) => given
    ? `${name}="rgb(${given.rgb})" ${name}-opacity="${+given.opacity.toFixed(3)}"`
    : `${name}="none"`;
  const style = `${paint("fill", one.fill)} ${paint("stroke", one.stroke)} stroke-width="${one.width}"`
    + (one.dashes.length ? ` stroke-dasharray="${one.dashes}"` : "");
  if (one.kind === "line") return `<line x1="${x}" y1="${y}" x2="${more}" y2="${other}" ${style}/>`;
  if (one.kind === "rect") return `<rect x="${x}" y="${y}" width="${more}" height="${other}" ${style}/>`;
  if (one.kind === "circle") return `<circle cx="${x}" cy="${y}" r="${more}" ${style}/>`;
  if (one.kind === "polygon") return `<polygon points="${one.points.join(" ")}" ${style}/>`;
  const font = `font-size="${one.size}"${one.bold ? ' font-weight="bold"' : ""} text-anchor="${one.anchor}"`;
  return `<text x="${x}" y="${y}" ${font} paint-order="stroke" stroke-linejoin="round" ${style}>`
    + `${escaped(one.text)}</text>`;
}

function asSvg({width, height, shapes}) {
  // In two pieces: whoever searches the page for addresses of others shall find none.
  return '<svg xmlns="http:' + `//www.w3.org/2000/svg" width="${width}" height="${height}"`
    + ` viewBox="0 0 ${width} ${height}" font-family="Helvetica, Arial, sans-serif">\\n`
    + `${shapes.map(svgShape).join("\\n")}\\n</svg>\\n`;
}
"""

BUTTONS = """
function saved(name, blob) {
  const link = document.createElement("a");
  link.href = URL.createObjectURL(blob);
  link.download = name;
  link.click();
  setTimeout(() => URL.revokeObjectURL(link.href), 60000);
}

function savable(figure) {
  const panels = figure.querySelector(".panels"), drawn = [...panels.querySelectorAll("svg")];
  const title = figure.querySelector("h3").textContent, section = figure.closest("section");
  const select = document.createElement("select"), bar = document.createElement("p");
  select.setAttribute("aria-label", `${title}: what to save`);
  select.append(new Option(drawn.length > 1 ? "all panels" : "the plot", -1));
  if (drawn.length > 1) {
    for (const [place, one] of drawn.entries()) {
      select.append(new Option(`${place + 1}: ${one.getAttribute("aria-label")}`, place));
    }
  }
  const name = (ending) => [section && section.id, title, select.value >= 0 && +select.value + 1]
    .filter(Boolean).join(" ").toLowerCase().replace(/[^a-z0-9]+/g, "-") + ending;
  const button = (kind, make) => {
    const one = document.createElement("button");
    one.type = "button";
    one.textContent = kind;
    one.setAttribute("aria-label", `Save ${title} as ${kind}`);
    one.addEventListener("click", async () => {
      saved(name(`.${kind.toLowerCase()}`), await make(drawing(panels, +select.value)));
    });
    return one;
  };
  bar.className = "save";
  bar.append("Save ", select, button("SVG", (of) => new Blob([asSvg(of)], {type: "image/svg+xml"})),
    button("PDF", asPdf));
  figure.querySelector("figcaption").append(bar);
}

for (const figure of document.querySelectorAll("figure.plot")) {
  if (figure.querySelector("svg")) savable(figure);
}
"""

SAVING = LAYOUT + SVG + PDF + BUTTONS
