"""
The style sheet of the status page, and a Content-Security-Policy that allows only this style and the icon.

State is never shown by colour alone: bars also differ in their outlines, bands in their
hatching. Texts have an outline in the colour of the background, so that lines behind
them do not make them unreadable.

Source: Content Security Policy Level 3, section 6.7.3 (hashes of inline styles).
"""

import base64
import hashlib
from urllib.parse import quote

from rotator.views.condition import Level
from rotator.views.timeline import Band

STYLE = """\
:root{color-scheme:light dark;--paper:#fff;--ink:#111;--line:#ccc;--dim:#5c5c5c;
--critical:#b3161b;--warning:#8a5a00;--information:#1f5a99;
--fine:#17702e;--gap:#b3161b;--active:#2f6fb2;--valid:#cfe0f3;--plan:#7b848d;--planvalid:#eef0f2;--window:#8a6d00;
--lead:#b4480b;--overlap:#7b3fb0}
@media(prefers-color-scheme:dark){:root{--paper:#121212;--ink:#eee;--line:#555;--dim:#aaa;--critical:#ff7b72;--warning:#e8b84a;
--information:#79b8ff;--fine:#5fd07f;--gap:#ff7b72;--active:#58a6ff;--valid:#1c3552;--plan:#8b949e;--planvalid:#2a2f36;
--window:#d1ae3b;--lead:#f0883e;--overlap:#c297f2}a{color:#79b8ff}}
*{box-sizing:border-box}html{background:var(--paper);color:var(--ink)}
body{font:15px/1.45 system-ui,sans-serif;margin:0 auto;padding:1rem;max-width:72rem;overflow-wrap:break-word}
h1{font-size:1.4rem;margin:0 0 .5rem}h2{font-size:1.1rem;margin:1.5rem 0 .5rem}
h3{font-size:1rem;margin:0;font-weight:600}
summary{cursor:pointer;padding:.2rem 0}summary h2{display:inline;margin:0}
article,.group,.tenant{border:1px solid var(--line);border-left-width:6px;border-radius:4px;padding:.6rem .8rem;
margin:.6rem 0;min-width:0}
article p,.group p{margin:.1rem 0 .3rem}
.critical{border-left-color:var(--critical)}.warning{border-left-color:var(--warning)}
.information{border-left-color:var(--information)}.fine{border-left-color:var(--fine)}
.badge{font-weight:600;font-size:.9rem;white-space:nowrap;margin-left:.3rem}
.badge.critical{color:var(--critical)}.badge.warning{color:var(--warning)}
.badge.information{color:var(--information)}.badge.fine{color:var(--fine)}
.process{border:1px solid;border-left-width:6px;border-radius:4px;padding:.4rem .8rem}
.process.critical{border-color:var(--critical)}.process.warning{border-color:var(--warning)}
.process.information{border-color:var(--information)}
.asof,.states{color:var(--dim);font-size:.9rem;margin:0 0 .5rem}
.states{display:flex;flex-wrap:wrap;gap:.2rem 1rem;padding:0;list-style:none}
form{display:flex;flex-wrap:wrap;gap:.4rem 1rem;align-items:end;margin:.5rem 0}
label{display:block;font-size:.9rem;color:var(--dim)}select,input,button{font:inherit;max-width:100%;min-height:2rem}
dl{margin:0;display:flex;flex-wrap:wrap;gap:.1rem 1.2rem;font-size:.9rem}
dl div{display:flex;flex-wrap:wrap;gap:0 .4rem;min-width:0;max-width:100%}dt{color:var(--dim);white-space:nowrap}
dd{margin:0;min-width:0;max-width:100%}
time{white-space:nowrap}
svg{display:block;width:100%;margin-top:.5rem}
svg text{font:10px ui-monospace,monospace;fill:currentColor;paint-order:stroke;stroke:var(--paper);stroke-width:4px;
stroke-linejoin:round}
svg .axis{fill:var(--dim)}svg .tick{stroke:var(--line)}svg .near{stroke:var(--dim);stroke-dasharray:1 3}
svg .now{stroke:currentColor;stroke-width:2}
.active{fill:var(--active)}.valid{fill:var(--valid);stroke:var(--active)}
.plan{fill:var(--plan)}.planvalid{fill:var(--planvalid);stroke:var(--plan)}
.published{fill:var(--paper);stroke:currentColor;stroke-width:2}
.off{fill:none;stroke:var(--dim);stroke-dasharray:3 2}
.gap{fill:var(--gap);fill-opacity:.35;stroke:var(--gap);stroke-width:1.5}
.window,.lead,.overlap{stroke-width:2.5}
.window{fill:url(#hatch-window);stroke:var(--window);stroke-dasharray:2 2}
.lead{fill:url(#hatch-lead);stroke:var(--lead)}
.overlap{fill:url(#hatch-overlap);stroke:var(--overlap);stroke-dasharray:6 2}
pattern path{fill:none;stroke-width:1.2}
#hatch-window path{stroke:var(--window)}#hatch-lead path{stroke:var(--lead)}#hatch-overlap path{stroke:var(--overlap)}
.patterns{position:absolute;width:0;height:0}
.legend{display:flex;flex-wrap:wrap;gap:.2rem 1rem;font-size:.85rem;color:var(--dim);padding:0;list-style:none}
.legend svg{display:inline-block;width:1.6rem;height:.9rem;margin:0 .3rem 0 0;vertical-align:middle}
.pages{margin:1rem 0;display:flex;gap:1rem}
footer{margin-top:1rem;font-size:.85rem;color:var(--dim)}
"""

POLICY = (
    "default-src 'none'; base-uri 'none'; form-action 'self'; frame-ancestors 'none'; img-src data:; style-src 'sha256-"
    + base64.b64encode(hashlib.sha256(STYLE.encode()).digest()).decode()
    + "'"
)
"""The Content-Security-Policy of the page."""

HATCHINGS = {
    "window": "M-1 5l2 2M0 0l6 6M5 -1l2 2",
    "lead": "M-1 1l2 -2M0 6l6 -6M5 7l2 -2M-1 4l5 -5M2 7l5 -5",
    "overlap": "M0 1h6M0 4h6",
}
"""The patterns that fill the bands, by the class of the band: paths in a square of 6 by 6."""

SWATCHES = {
    "active": "active key",
    "valid": "valid key",
    "plan": "planned key, active",
    "planvalid": "planned key, valid",
    "off": "disabled key",
    "window": Band.WINDOW.value,
    "lead": Band.LEAD.value,
    "overlap": Band.OVERLAP.value,
    "gap": "no valid key",
}
"""The text of the legend for each class of a drawing."""

_SHAPES = {
    Level.CRITICAL: ("#c8201f", "M5 5l6 6M11 5l-6 6"),
    Level.WARNING: ("#d98200", "M8 4v5M8 11v1"),
    Level.INFORMATION: ("#2f6fb2", "M8 4v1M8 7v5"),
    Level.FINE: ("#17802e", "M4 8l3 3 5-6"),
}

ICONS = {
    level: "data:image/svg+xml,"
    + quote(
        '<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 16 16">'
        f'<circle cx="8" cy="8" r="8" fill="{colour}"/>'
        f'<path d="{path}" fill="none" stroke="#fff" stroke-width="2"/></svg>'
    )
    for level, (colour, path) in _SHAPES.items()
}
"""The icon of the browser tab for each worst level, as a data: URL."""
