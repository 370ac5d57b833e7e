"""The style sheet of the pages: for phones, for light and dark mode, and for print."""

STYLE = """
:root { color-scheme: light dark; --ink: #1c2024; --soft: #646b73; --line: #dfe2e6; --page: #fcfcfd;
  --card: #ffffff; --accent: #0b6e78; }
@media (prefers-color-scheme: dark) { :root { --ink: #e8eaed; --soft: #9aa1a9; --line: #2d3238;
  --page: #14171a; --card: #1b1f23; --accent: #5cc4cf; } }
* { box-sizing: border-box; }
body { margin: 0; background: var(--page); color: var(--ink); overflow-wrap: break-word;
  font: 16px/1.55 system-ui, -apple-system, "Segoe UI", Roboto, "Noto Sans", "Noto Sans CJK SC",
  "PingFang SC", "Microsoft YaHei", sans-serif; }
main { max-width: 71.5rem; margin: 0 auto; padding: clamp(1.25rem, 4vw, 3rem) clamp(1rem, 4vw, 2rem) 1rem; }
h1 { font-size: clamp(1.5rem, 4vw, 2.1rem); line-height: 1.2; letter-spacing: -.015em; margin: 0 0 .6em; }
h2 { font-size: 1.35rem; line-height: 1.25; letter-spacing: -.01em; margin: 0 0 .8em; }
nav { display: flex; flex-wrap: wrap; gap: .3rem 1.1rem; margin-bottom: 1.4rem; }
nav a { color: var(--accent); text-decoration: none; }
nav a:hover { text-decoration: underline; }
.part { border-top: 1px solid var(--line); margin-top: 2.6rem; padding-top: 2rem; }
.verdict { background: var(--card); border: 1px solid var(--line); border-left: 4px solid var(--accent);
  border-radius: .6rem; padding: .9rem 1.2rem; margin: 0 0 1.4rem; }
.verdict b { font-size: 1.2rem; line-height: 1.35; }
.verdict p { margin: .35rem 0 0; max-width: 46rem; }
.scores { display: grid; grid-template-columns: repeat(auto-fill, minmax(10.5rem, 1fr)); gap: .8rem;
  margin: 0 0 1.6rem; }
.score { background: var(--card); border: 1px solid var(--line); border-radius: .6rem; padding: .8rem 1rem; }
.score dt { color: var(--soft); font-size: .88rem; }
.score dd { margin: 0; }
.score b { display: block; font-size: 1.75rem; font-weight: 600; line-height: 1.3; letter-spacing: -.02em;
  font-variant-numeric: tabular-nums; }
.score span { display: block; color: var(--soft); font-size: .82rem; font-variant-numeric: tabular-nums; }
.findings { margin: 0 0 1.6rem; padding: 0; list-style: none; }
.findings li { border-left: 3px solid var(--accent); padding: .1rem 0 .1rem .9rem; margin: .55rem 0;
  max-width: 46rem; }
.figures { display: flex; flex-wrap: wrap; gap: 0 1.5rem; align-items: flex-start; }
figure { margin: 0 0 1.8rem; max-width: 100%; min-width: min(16rem, 100%); }
figure img { display: block; max-width: 100%; height: auto; border-radius: .3rem; }
figure img.png { image-rendering: pixelated; }
figcaption { color: var(--soft); font-size: .88rem; margin-bottom: .4rem; contain: inline-size; white-space: pre-line; }
h3, h4, h5, h6 { font-size: 1.1rem; margin: 0 0 .8em; }
.caption { font-size: 1rem; font-weight: 600; margin: 0 0 .6em; letter-spacing: 0; }
.part .part { border-top: 0; margin-top: 1.6rem; padding-top: 0; }
.replay { display: grid; grid-template-columns: repeat(var(--stops), 1fr); max-width: 40rem; }
.replay input { appearance: none; display: grid; place-items: center; height: 1.9rem; margin: 0; cursor: pointer;
  background: linear-gradient(var(--line) 0 0) center / 100% 3px no-repeat; }
.replay input::before { content: ""; width: .5rem; height: .5rem; border-radius: 50%; background: var(--soft); }
.replay input:checked::before { width: 1.15rem; height: 1.15rem; background: var(--accent); }
.replay input:focus-visible { outline: 2px solid var(--accent); }
.replay figure { display: none; grid-row: 2; grid-column: 1 / -1; margin-top: .4rem; }
.replay figure img { width: 100%; }
.replay input:checked + figure { display: block; }
.cards { list-style: none; display: grid; grid-template-columns: repeat(auto-fill, minmax(min(18rem, 100%), 1fr));
  gap: .9rem; margin: 0 0 1.8rem; padding: 0; }
.cards li { background: var(--card); border: 1px solid var(--line); border-radius: .6rem;
  padding: .8rem; min-width: 0; }
.pictures { flex: var(--pictures) 1 calc(8.4rem * min(var(--pictures), 4) - .9rem); max-width: 100%;
  min-width: min(12rem, 100%); }
.pictures .caption { contain: inline-size; }
.gallery { list-style: none; display: flex; flex-wrap: wrap; gap: .9rem; margin: 0 0 1.8rem; padding: 0; }
.gallery li { display: flex; gap: .9rem; max-width: 100%; }
.gallery figure { margin: 0; flex: 0 1 7.5rem; width: 7.5rem; min-width: 0; display: flex; flex-direction: column;
  justify-content: flex-end; }
.gallery img { width: 100%; }
.gallery figcaption { font-size: .78rem; line-height: 1.35; margin-bottom: .25rem; overflow-wrap: anywhere; }
.row { display: grid; grid-template-columns: repeat(3, 1fr); gap: .5rem; margin: .5rem 0 .6rem; align-items: end; }
.row figure { margin: 0; min-width: 0; }
.row img { width: 100%; aspect-ratio: 1; object-fit: cover; }
.row figcaption { font-size: .75rem; line-height: 1.3; margin-bottom: .25rem; }
.cards .facts { display: block; margin: .2rem 0 0; font-size: .82rem; line-height: 1.4; }
.cards .facts dd { margin-bottom: .3rem; }
.bar { display: inline-block; position: relative; width: 4.5rem; height: .55rem; margin: 0 .2rem;
  vertical-align: middle; border-bottom: 1px solid var(--line); }
.bar::before, .bar::after { content: ""; position: absolute; background: var(--accent); }
.bar::before { left: calc(var(--low) * 100%); width: max(1px, calc((var(--high) - var(--low)) * 100%)); top: .2rem;
  height: .15rem; opacity: .45; }
.bar::after { left: calc(var(--value) * (100% - 3px)); width: 3px; top: 0; height: .55rem; }
.table, .wide { overflow-x: auto; }
.table { margin: 0 0 1.8rem; }
:focus-visible { outline: 2px solid var(--accent); outline-offset: 2px; }
table { border-collapse: collapse; font-size: .93rem; }
table caption { text-align: left; white-space: nowrap; font-weight: 600; padding-bottom: .4rem; }
th, td { text-align: left; padding: .35rem 1.2rem .35rem 0; border-bottom: 1px solid var(--line);
  vertical-align: top; }
th { color: var(--soft); font-weight: 500; font-size: .85rem; white-space: nowrap; }
.n { text-align: right; font-variant-numeric: tabular-nums; white-space: nowrap; }
small { color: var(--soft); }
details { margin: 0 0 1.6rem; border-top: 1px solid var(--line); }
summary { cursor: pointer; color: var(--accent); padding: .7rem 0; }
details[open] summary { margin-bottom: .6rem; }
.facts { display: grid; grid-template-columns: minmax(7rem, max-content) 1fr; gap: .2rem 1.4rem;
  margin: .7rem 0 0; font-size: .93rem; }
.facts dt { color: var(--soft); }
.facts dd { margin: 0; min-width: 0; overflow-wrap: anywhere; }
footer { max-width: 71.5rem; margin: 0 auto; padding: 1rem clamp(1rem, 4vw, 2rem) 2.5rem; color: var(--soft);
  font-size: .82rem; }
@media (max-width: 40rem) { .wide img.svg { max-width: none; } .bar { display: none; }
  th, td { padding-right: .8rem; } .n small { display: block; }
  .gallery { gap: .7rem; } .gallery li { gap: .5rem; } }
@media print { :root { --ink: #000; --soft: #444; --line: #bbb; --page: #fff; --card: #fff; --accent: #000; }
  body { font-size: 10.5pt; } main, footer { max-width: none; padding: 0; } nav { display: none; }
  figure, .score, .verdict, tr, .findings li { break-inside: avoid; } h2 { break-after: avoid; }
  figure img.svg { max-width: 100%; } .table, .wide { overflow: visible; } }
"""
