"""How the page of a report looks, besides what all pages share.

The colors of methods (a hue for each family, in three shades) and of parts of a model were searched for: the
least difference of any two is as large as can be, also to eyes that lack one of the three kinds of cones, and
each has a contrast of at least 3 with the page.
"""

from __future__ import annotations

STYLE = """
:root, .light {
  --m00: #2b5f83; --m01: #1877c8; --m02: #189ac9; --m10: #8f0920; --m11: #c65809; --m12: #db7161;
  --m20: #144310; --m21: #405a43; --m22: #709480; --m30: #652342; --m31: #961870; --m32: #cb289c;
  --m40: #804a04; --m41: #817341; --m42: #ad8b39; --m50: #323886; --m51: #6e3ae9; --m52: #9474fc;
  --p0: #00517c; --p1: #cd7a23; --p2: #1aa25f;
  --none: #7b8088; --accent: #0b6fb3;
}
@media (prefers-color-scheme: dark) {
  :root {
    --m00: #0472c1; --m01: #7792b8; --m02: #a4d8fb; --m10: #c13f15; --m11: #fc4b01; --m12: #e8a57d;
    --m20: #067c44; --m21: #5bccb2; --m22: #27f4ac; --m30: #8e5f6c; --m31: #d86268; --m32: #ffcddd;
    --m40: #9a9346; --m41: #c5d56e; --m42: #a9fe51; --m50: #8646f6; --m51: #c070f3; --m52: #c2a6fa;
    --p0: #0080c9; --p1: #f2af70; --p2: #0ecfc6;
    --none: #8b9098; --accent: #5cb3ec;
  }
}
main { overflow-wrap: break-word; }
h2 { margin-top: 44px; }
h3 { margin: 40px 0 2px; font-size: 16px; font-weight: 650; color: var(--ink); }
figcaption h3 { margin: 0; }
a { color: var(--accent); }
:focus-visible { outline: 2px solid var(--accent); outline-offset: 2px; border-radius: 3px; }
nav { display: flex; flex-wrap: wrap; gap: 4px 20px; margin: 18px 0 0; }
nav a { padding: 4px 0; }
.warning { margin: 14px 0 0; padding: 10px 14px; border-radius: 8px; max-width: 74ch; }
.warning { background: var(--fault-wash); color: var(--fault); }
.scroll { overflow-x: auto; }
.scroll + .lead { margin-top: 24px; }
.scroll th:first-child { position: sticky; left: 0; background: var(--paper); }
article .scroll th:first-child { background: var(--card); }

th { font-weight: 600; }
th span, td span { display: block; color: var(--soft); font-size: 12px; font-weight: 400; }
thead th { color: var(--soft); font-size: 13px; vertical-align: bottom; }
td b { font-weight: 700; }
thead button {
  all: unset; cursor: pointer; text-align: inherit; font: inherit; color: inherit; display: inline-block;
}
thead button:focus-visible { outline: 2px solid var(--accent); outline-offset: 2px; border-radius: 3px; }
thead button:hover, th[aria-sort] button { color: var(--accent); }
th[aria-sort] button::after { content: "\\2191"; padding-left: 2px; }
th[aria-sort="descending"] button::after { content: "\\2193"; }
tr[hidden] { display: none; }
.sorter { display: none; }
.swatch { width: 14px; height: 14px; margin: 0 7px -2px 0; }
.main th, .main td { padding: 9px 5px; }
.main th:first-child { padding-left: 0; min-width: 110px; }
.main tbody th:first-child { padding-left: 21px; text-indent: -21px; }
.main tbody th span { text-indent: 0; }
.main td span, .main thead th span { font-size: 11px; }
.main td span, .costs td span { white-space: nowrap; }
.main .group { color: var(--ink); }
.main .first, .main .group { padding-left: 18px; }
.family th { padding: 16px 0 4px; color: var(--soft); font-size: 12px; letter-spacing: 0.02em; }
.main .unedited td { color: var(--soft); }

.more { margin-top: 16px; }
summary { cursor: pointer; color: var(--soft); font-size: 14px; padding: 3px 0; width: fit-content; }
dl { display: grid; grid-template-columns: 116px 1fr; gap: 3px 12px; margin: 0; }
dt { color: var(--soft); font-size: 13px; padding-top: 1px; }
dd { margin: 0; overflow-wrap: anywhere; min-width: 0; }
.more dl { grid-template-columns: 190px 1fr; margin-top: 8px; }

.plot { margin-top: 40px; }
.plot figcaption { font-size: 14px; margin: 0 0 14px; max-width: 84ch; }
.save { margin: 6px 0 0; display: flex; flex-wrap: wrap; gap: 6px 8px; align-items: center; font-size: 13px; }
.save select { width: auto; max-width: 220px; margin: 0; height: 28px; padding: 2px 6px; font-size: 13px; }
.save button {
  font: inherit; color: var(--accent); background: none; border: 1px solid var(--line); border-radius: 6px;
  padding: 3px 9px; cursor: pointer;
}
.aside { position: absolute; left: -9999px; top: 0; width: 1100px; }
.panels { display: grid; grid-template-columns: repeat(auto-fill, minmax(min(100%, 320px), 1fr)); }
.panels { gap: 28px 26px; align-items: start; }
.panels.small { grid-template-columns: repeat(auto-fill, minmax(165px, 1fr)); gap: 18px; }
.panels.small svg { max-width: 230px; } .panels.small .label { font-size: 12px; }
.panels svg { display: block; width: 100%; height: auto; max-width: 380px; overflow: visible; }
svg text { font-size: 11px; fill: var(--soft); font-variant-numeric: tabular-nums; }
svg .head { font-size: 13px; font-weight: 600; fill: var(--ink); }
svg .note, svg .axis { font-size: 11px; }
svg .name { font-size: 12px; fill: var(--ink); }
svg .halo { paint-order: stroke; stroke: var(--paper); stroke-width: 3px; stroke-linejoin: round; }
svg .value { font-size: 11px; fill: var(--ink); }
svg .value.legacy { fill: var(--soft); }
.grid { stroke: var(--line); stroke-width: 1; }
.diagonal { stroke: var(--soft); stroke-width: 1; stroke-dasharray: 3 4; }
.bar.legacy { opacity: 0.42; }
.whisker { stroke: var(--ink); stroke-width: 1; opacity: 0.55; }
.ring { fill: none; stroke: var(--line); }
.shape { fill-opacity: 0; stroke-width: 1.6; stroke-linejoin: round; }
.shape.wild { fill-opacity: 0.22; }
.shape.legacy { stroke-dasharray: 3 3; }
.cross { stroke-width: 1.4; opacity: 0.4; }
.course { stroke-width: 1.8; opacity: 0.75; } .course.thin { stroke-width: 1; opacity: 0.45; }
.mark { stroke: var(--paper); stroke-width: 1.2; }
.edit { opacity: 0.5; }
.pale { opacity: 0.35; }
.median { stroke: var(--ink); stroke-width: 1.8; }

.types { display: grid; }
.types { grid-template-columns: repeat(auto-fill, minmax(min(100%, calc(100px + var(--runs) * 33px)), 1fr)); }
.types { gap: 10px 26px; }
.types table { font-size: 13px; }
.types caption { text-align: left; font-weight: 600; font-size: 13px; }
.types caption span { float: right; color: var(--soft); font-weight: 400; font-size: 12px; }
.types th, .types td { padding: 4px 5px; border-bottom: 1px solid var(--paper); vertical-align: middle; }
.types tbody th { font-weight: 400; padding-left: 0; overflow-wrap: anywhere; min-width: 84px; }
.types tbody th span { display: inline; padding-left: 6px; }
.types tbody td {
  text-align: right; border-left: 1px solid var(--paper);
  background: color-mix(in srgb, var(--accent) calc(var(--share, 0%) * 0.42), var(--track));
}
.types thead th { vertical-align: bottom; height: 76px; }
.types thead th span {
  writing-mode: vertical-rl; transform: rotate(180deg); display: inline-block; white-space: nowrap;
}
.costs td, .costs thead th:not(:first-child) { text-align: right; }
.costs th:first-child, .settings th:first-child { padding-left: 0; }
.settings td, .settings th { font-size: 13px; }
.settings td { overflow-wrap: anywhere; } .settings th { white-space: nowrap; }

form {
  display: flex; flex-wrap: wrap; gap: 10px 14px; align-items: end; margin: 20px 0 10px; padding: 12px 14px;
  background: var(--card); border: 1px solid var(--line); border-radius: 10px;
}
form[hidden], article[hidden] { display: none; }
label { color: var(--soft); font-size: 12px; flex: 0 1 150px; min-width: 0; }
label.check { flex: 0 0 auto; font-size: 14px; color: var(--ink); padding: 7px 0; }
select, input[type="search"] {
  display: block; width: 100%; min-width: 0; margin-top: 2px; padding: 6px 8px;
  font: inherit; font-size: 14px; color: var(--ink); background: var(--paper);
  border: 1px solid var(--line); border-radius: 6px; height: 36px;
}
.cards { margin-top: 14px; }
article {
  margin: 0 0 18px; padding: 16px;
  background: var(--card); border: 1px solid var(--line); border-radius: 10px;
  content-visibility: auto; contain-intrinsic-size: auto 420px;
}
.about { display: grid; grid-template-columns: auto 1fr; gap: 20px; }
.pictures { display: flex; flex-wrap: wrap; gap: 10px; }
.pictures figure { width: 104px; }
figcaption { line-height: 1.3; }
.source { margin: 8px 0 0; color: var(--soft); font-size: 12px; overflow-wrap: anywhere; }
article summary { margin-top: 10px; font-size: 13px; width: auto; }
article summary span { display: inline-block; margin-right: 12px; max-width: 100%; overflow-wrap: anywhere; }
article summary .what { color: var(--ink); }
article summary .all { color: var(--clean); }
.answers { margin-top: 4px; font-size: 13px; }
.answers th, .answers td { padding: 5px 8px; min-width: 92px; }
.answers td, .answers th span { overflow-wrap: anywhere; }
.answers th:first-child { padding-left: 0; white-space: nowrap; }
.answers tbody th { font-weight: 400; }
.answers tr:last-child > * { border-bottom: 0; }
.answers .before, .answers .void, .answers .skipped { color: var(--soft); }
.answers td b { display: inline-block; width: 12px; }
.pass b { color: var(--clean); } .part b { color: var(--fault); }
.fail, .fail b { color: var(--never); }
small { font-size: 11px; color: var(--soft); white-space: nowrap; }

@media (max-width: 760px) {
  .about { grid-template-columns: 1fr; gap: 12px; }
  .pictures { display: grid; grid-template-columns: repeat(auto-fit, minmax(66px, 1fr)); }
  .pictures figure { width: auto; }
  .more dl { grid-template-columns: 1fr; gap: 0; } .more dd { margin-bottom: 8px; }
  dl { grid-template-columns: 92px 1fr; }
  label { flex: 1 1 40%; }
  .main thead, .costs thead, .settings thead, .answers thead { display: none; }
  .main, .costs, .settings, .answers { display: block; }
  .main tbody, .costs tbody, .settings tbody, .answers tbody { display: block; }
  .sorter { display: block; margin-top: 14px; }
  .main tr, .costs tr, .settings tr, .answers tr { display: block; padding: 10px 0; }
  .main tr, .costs tr, .settings tr, .answers tr { border-bottom: 1px solid var(--line); }
  .main th, .main td, .costs th, .costs td { padding: 2px 0; border: 0; }
  .settings th, .settings td, .answers th, .answers td { padding: 2px 0; border: 0; display: block; }
  .main tr { display: grid; grid-template-columns: 1fr 1fr; grid-auto-flow: column; column-gap: 14px; }
  .main tr { grid-template-rows: repeat(var(--rows), auto); }
  .main th { grid-column: 1 / -1; }
  .main td.first { padding-left: 0; }
  tbody th:first-child { white-space: normal; overflow-wrap: anywhere; }
  .main th:first-child, .answers th:first-child { white-space: normal; }
  .main td, .costs td, .settings td, .answers td {
    display: grid; grid-template-columns: 92px 1fr; column-gap: 8px;
  }
  .main td, .costs td { text-align: left; }
  .main td span, .costs td span { grid-column: 2; }
  td::before { content: attr(data-label); color: var(--soft); font-size: 12px; }
  .types td::before { content: none; }
  .answers .before td { grid-template-columns: 1fr; } .answers .before td > div { color: var(--ink); }
  .answers .before td::before { content: attr(data-label) ": " attr(data-asked); }
  td > div { min-width: 0; }
}
@media print { .save { display: none; } article, .plot, tr { break-inside: avoid; } }
"""
