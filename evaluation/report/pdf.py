"""The script that writes a list of shapes as a PDF of one page.

Texts are in Helvetica, one of the fonts that every viewer has, with the widths that its maker gives. What is
a pixel wide on the page is three quarters of a point here, as print has it.
"""

from __future__ import annotations

PDF = """
const POINT = 0.75;
const PLAIN = [
  278, 278, 355, 556, 556, 889, 667, 191, 333, 333, 389, 584, 278, 333, 278, 278, 556, 556, 556,
  556, 556, 556, 556, 556, 556, 556, 278, 278, 584, 584, 584, 556, 1015, 667, 667, 722, 722, 667,
  611, 778, 722, 278, 500, 667, 556, 833, 722, 778, 667, 778, 722, 667, 611, 722, 667, 944, 667,
  667, 611, 278, 278, 278, 469, 556, 333, 556, 556, 500, 556, 556, 278, 556, 556, 222, 222, 500,
  222, 833, 556, 556, 556, 556, 333, 500, 278, 556, 500, 722, 500, 500, 500, 334, 260, 334, 584];
const BOLD = [
  278, 333, 474, 556, 556, 889, 722, 238, 333, 333, 389, 584, 278, 333, 278, 278, 556, 556, 556,
  556, 556, 556, 556, 556, 556, 556, 333, 333, 584, 584, 584, 611, 975, 722, 722, 722, 722, 667,
  611, 778, 722, 278, 556, 722, 611, 833, 722, 778, 667, 778, 722, 667, 611, 722, 667, 944, 667,
  667, 611, 333, 278, 333, 584, 556, 333, 556, 611, 556, 611, 556, 333, 611, 611, 278, 278, 556,
  278, 889, 611, 611, 611, 611, 389, 556, 333, 611, 556, 778, 556, 556, 500, 389, 280, 389, 584];
const OTHERS = {"…": 133};
const RAISED = "⁰¹²³⁴⁵⁶⁷⁸⁹⁻", LEVEL = "0123456789-";

const short = (value) => String(+value.toFixed(2));

function letter(one) {
  const code = one.charCodeAt(0);
  return code < 127 || (code > 160 && code < 256) ? code : OTHERS[one] || 63;
}

function pieces(text) {
  return (text.match(/[⁰¹²³⁴⁵⁶⁷⁸⁹⁻]+|[^⁰¹²³⁴⁵⁶⁷⁸⁹⁻]+/g) || []).map((piece) => {
    const raised = RAISED.includes(piece[0]);
    const level = raised ? [...piece].map((one) => LEVEL[RAISED.indexOf(one)]) : [...piece];
    return {raised, codes: level.map(letter)};
  });
}

function pdfText(one) {
  const widths = one.bold ? BOLD : PLAIN, parts = pieces(one.text);
  const size = (part) => one.size * (part.raised ? 0.7 : 1);
  const width = (part) => part.codes.reduce((sum, code) => sum + (widths[code - 32] || 556), 0);
  const whole = parts.reduce((sum, part) => sum + width(part) * size(part) / 1000, 0);
  const left = one.points[0][0] - {start: 0, middle: whole / 2, end: whole}[one.anchor];
  const shown = parts.map((part) => {
    const string = part.codes.map((code) => "()\\\\".includes(String.fromCharCode(code))
      ? "\\\\" + String.fromCharCode(code) : String.fromCharCode(code)).join("");
    return `/${one.bold ? "B" : "P"} ${short(size(part))} Tf ${part.raised ? short(one.size * 0.35) : 0} Ts`
      + ` (${string}) Tj`;
  });
  const matrix = `1 0 0 -1 ${short(left)} ${short(one.points[0][1])} Tm`;
  const set = (mode) => `BT ${mode} Tr ${matrix} ${shown.join(" ")} ET`;
  return (one.stroke ? [set(1)] : []).concat(one.fill ? [set(0)] : []).join("\\n");
}

function pdfShape(one, states) {
  if (!one.fill && !one.stroke) return "";
  const parts = ["q"], paint = (given, operator) => {
    if (given) parts.push(`${given.rgb.map((value) => short(value / 255)).join(" ")} ${operator}`);
  };
  const opacity = [one.fill, one.stroke].map((given) => given ? given.opacity.toFixed(2) : "1");
  if (!states.includes(opacity.join(" "))) states.push(opacity.join(" "));
  parts.push(`/G${states.indexOf(opacity.join(" "))} gs`);
  paint(one.fill, "rg"); paint(one.stroke, "RG");
  parts.push(`${short(one.width)} w 1 j`);
  if (one.dashes.length) parts.push(`[${one.dashes.join(" ")}] 0 d`);
  const does = one.fill ? (one.stroke ? "B" : "f") : "S", [[x, y], [more, other] = []] = one.points;
  const at = (...numbers) => numbers.map(short).join(" ");
  if (one.kind === "text") parts.push(pdfText(one));
  else if (one.kind === "rect") parts.push(`${at(x, y, more, other)} re ${does}`);
  else if (one.kind === "circle") {
    const bend = more * 0.5523;
    parts.push(`${at(x + more, y)} m`,
      `${at(x + more, y + bend, x + bend, y + more, x, y + more)} c`,
      `${at(x - bend, y + more, x - more, y + bend, x - more, y)} c`,
      `${at(x - more, y - bend, x - bend, y - more, x, y - more)} c`,
      `${at(x + bend, y - more, x + more, y - bend, x + more, y)} c h ${does}`);
  } else {
    const path = one.points.map((point, place) => `${at(...point)} ${place ? "l" : "m"}`).join(" ");
    parts.push(`${path} ${one.kind === "polygon" ? `h ${does}` : "S"}`);
  }
  return [...parts, "Q"].join("\\n");
}

const bytes = (text) => Uint8Array.from(text, (one) => one.charCodeAt(0));

async function deflated(text) {
  const stream = new Blob([bytes(text)]).stream().pipeThrough(new CompressionStream("deflate"));
  return new Uint8Array(await new Response(stream).arrayBuffer());
}

async function asPdf({width, height, shapes}) {
  const states = [], turned = `${POINT} 0 0 -${POINT} 0 ${short(height * POINT)} cm`;
  const content = await deflated([turned, ...shapes.map((one) => pdfShape(one, states))].join("\\n"));
  const graphics = states.map((one, place) => `/G${place} << /ca ${one.replace(" ", " /CA ")} >>`).join(" ");
  const font = (name) => `<< /Type /Font /Subtype /Type1 /BaseFont /${name} /Encoding /WinAnsiEncoding >>`;
  const resources = `<< /Font << /P 5 0 R /B 6 0 R >> /ExtGState << ${graphics} >> >>`;
  const box = `[0 0 ${short(width * POINT)} ${short(height * POINT)}]`;
  const objects = [
    [bytes("<< /Type /Catalog /Pages 2 0 R >>")],
    [bytes("<< /Type /Pages /Kids [3 0 R] /Count 1 >>")],
    [bytes(`<< /Type /Page /Parent 2 0 R /MediaBox ${box} /Resources ${resources} /Contents 4 0 R >>`)],
    [bytes(`<< /Length ${content.length} /Filter /FlateDecode >>\\nstream\\n`), content,
      bytes("\\nendstream")],
    [bytes(font("Helvetica"))],
    [bytes(font("Helvetica-Bold"))],
  ];
  const parts = [bytes("%PDF-1.4\\n%\\xe2\\xe3\\xcf\\xd3\\n")], starts = [];
  let length = parts[0].length;
  const add = (part) => { parts.push(part); length += part.length; };
  for (const [place, object] of objects.entries()) {
    starts.push(length);
    [bytes(`${place + 1} 0 obj\\n`), ...object, bytes("\\nendobj\\n")].forEach(add);
  }
  const entry = (start) => `${String(start).padStart(10, "0")} 00000 n \\n`;
  const end = length, entries = starts.map(entry).join("");
  add(bytes(`xref\\n0 ${objects.length + 1}\\n0000000000 65535 f \\n${entries}`
    + `trailer\\n<< /Size ${objects.length + 1} /Root 1 0 R >>\\nstartxref\\n${end}\\n%%EOF\\n`));
  return new Blob(parts, {type: "application/pdf"});
}
"""
