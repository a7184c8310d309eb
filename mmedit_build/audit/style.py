"""How the page of an audit looks, besides what all pages share."""

from __future__ import annotations

STYLE = """
.verdict { margin: 22px 0 0; padding: 12px 16px; border-radius: 8px; max-width: 74ch; }
.verdict.never { background: var(--never-wash); color: var(--never); }
.verdict.clean { background: var(--clean-wash); color: var(--clean); }

th:first-child, td:first-child { padding-left: 0; }
thead th { color: var(--soft); font-size: 13px; font-weight: 500; padding-bottom: 8px; }
thead th b { display: block; color: var(--ink); font-size: 15px; font-weight: 600; }
tbody th { width: 34%; font-weight: 600; }
tbody th span { display: block; color: var(--soft); font-size: 13px; font-weight: 400; line-height: 1.4; }
tr.kind th { padding: 30px 0 8px; font-size: 13px; font-weight: 600; color: var(--soft); }
.never { --kind: var(--never); } .fault { --kind: var(--fault); } .number { --kind: var(--number); }
td { white-space: nowrap; }
td b { font-weight: 600; } td span { color: var(--soft); font-size: 13px; }
td.nothing { color: var(--soft); } td.clean b { color: var(--clean); }
td.found b { color: var(--kind); }
.bar { display: block; height: 4px; margin-top: 6px; border-radius: 2px; background: var(--track); }
.bar i { display: block; height: 4px; min-width: 2px; border-radius: 2px; background: var(--kind); }

.cards { columns: 2; column-gap: 20px; margin-top: 18px; }
.cards > article {
  break-inside: avoid; margin: 0 0 20px; padding: 16px; background: var(--card);
  border: 1px solid var(--line); border-radius: 10px;
}
.pictures { display: grid; grid-template-columns: 1fr 1fr; gap: 10px; margin-bottom: 12px; }
.marks { display: flex; flex-wrap: wrap; gap: 6px; list-style: none; margin: 0 0 12px; padding: 0; }
.marks li { padding: 2px 9px; border-radius: 99px; font-size: 12px; font-weight: 600; }
.marks .never, dd.never { background: var(--never-wash); color: var(--never); }
.marks .fault, dd.fault { background: var(--fault-wash); color: var(--fault); }
dl { display: grid; grid-template-columns: 100px 1fr; gap: 4px 10px; margin: 0; }
dt { color: var(--soft); font-size: 13px; padding-top: 2px; }
dd { margin: 0; padding: 1px 6px; border-radius: 4px; overflow-wrap: anywhere; min-width: 0; }
dd small { color: var(--soft); font-size: 13px; }
dd.void { color: var(--soft); font-style: italic; }
.source { margin: 12px 0 0; color: var(--soft); font-size: 12px; overflow-wrap: anywhere; }

@media (max-width: 760px) {
  .cards { columns: 1; }
  table, tbody, tr, th, td { display: block; width: auto; }
  thead { display: none; }
  tbody tr { padding: 12px 0; border-bottom: 1px solid var(--line); }
  tbody tr.kind { border: 0; padding: 0; }
  tbody th, td { padding: 0; border: 0; width: auto; }
  td { display: grid; grid-template-columns: 104px 1fr; gap: 0 10px; margin-top: 8px; }
  td::before { content: attr(data-group); color: var(--soft); font-size: 13px; }
  td .bar { grid-column: 2; margin-top: 3px; }
  td.nothing { display: none; }
}
@media print { .cards > article, tbody tr { break-inside: avoid; } }
"""
