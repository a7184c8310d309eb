"""Pages that stand alone: one HTML file that asks for nothing else, in light and in dark, wide and narrow."""

from __future__ import annotations

import base64
import hashlib
from html import escape

BASE_STYLE = """
:root { color-scheme: light dark; }
:root, .light {
  --paper: #faf9f6; --card: #ffffff; --ink: #1f2328; --soft: #646a73; --line: #e3e0d8; --track: #ece9e2;
  --never: #b4372d; --fault: #a3640a; --number: #4a6785; --clean: #2c7a4f;
  --never-wash: #f9e9e6; --fault-wash: #f8efdd; --clean-wash: #e6f2ea;
}
@media (prefers-color-scheme: dark) {
  :root {
    --paper: #16181b; --card: #1e2125; --ink: #e6e4df; --soft: #9da2aa; --line: #31353b; --track: #2a2e33;
    --never: #ef8175; --fault: #e0ac5c; --number: #8fb1d3; --clean: #7cc79c;
    --never-wash: #3a2321; --fault-wash: #362b19; --clean-wash: #1e3127;
  }
}
* { box-sizing: border-box; }
body {
  margin: 0; background: var(--paper); color: var(--ink);
  font: 15px/1.5 system-ui, -apple-system, "Segoe UI", Roboto, "Helvetica Neue", Arial, sans-serif;
  -webkit-text-size-adjust: 100%;
}
main { max-width: 1120px; margin: 0 auto; padding: 48px 24px 72px; }
h1 { margin: 0 0 6px; font-size: 30px; line-height: 1.2; font-weight: 650; overflow-wrap: anywhere; }
h2 { margin: 52px 0 4px; font-size: 20px; font-weight: 650; }
p.lead { margin: 0; color: var(--soft); max-width: 74ch; overflow-wrap: anywhere; }
table { width: 100%; border-collapse: collapse; margin-top: 18px; font-variant-numeric: tabular-nums; }
th, td { text-align: left; vertical-align: top; padding: 10px 12px; border-bottom: 1px solid var(--line); }
figure { margin: 0; } figcaption { color: var(--soft); font-size: 12px; margin-top: 4px; }
figure img, .absent { display: block; width: 100%; border-radius: 6px; }
figure img { height: auto; background: var(--track); }
.absent { display: grid; place-items: center; aspect-ratio: 4 / 3; background: var(--track); }
.absent { color: var(--soft); font-size: 13px; }
footer { margin-top: 52px; color: var(--soft); font-size: 13px; }
@media (max-width: 760px) {
  main { padding: 28px 16px 48px; }
  h1 { font-size: 25px; }
}
"""
"""What all pages look like."""


def document(title: str, style: str, body: str, script: str = "") -> bytes:
    """A whole page in UTF-8; of the arguments only the title is plain text.

    Whatever texts the body holds, a browser loads nothing for it, and runs nothing but the script.
    """
    digest = base64.b64encode(hashlib.sha256(script.encode()).digest()).decode("ascii")
    allowed = f"; script-src 'sha256-{digest}'" if script else ""
    policy = f"default-src 'none'; img-src data:; style-src 'unsafe-inline'{allowed}"
    page = (
        '<!doctype html>\n<html lang="en"><head><meta charset="utf-8">'
        f'<meta http-equiv="Content-Security-Policy" content="{policy}">'
        '<meta name="viewport" content="width=device-width, initial-scale=1">'
        f"<title>{escape(title)}</title><style>{BASE_STYLE}{style}</style></head>\n<body><main>\n"
        f"{body}\n</main>{f'<script>{script}</script>' if script else ''}</body></html>\n"
    )
    # Half of a surrogate pair can stand in JSON, but not in UTF-8.
    return page.encode("utf-8", errors="xmlcharrefreplace")
