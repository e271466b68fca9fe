// The one style sheet of the pages. Its digest is in their policy, so a page can have no other.
export const STYLE = `
:root{color-scheme:light dark;--ground:#f7f7f5;--card:#fff;--line:#e3e3df;--ink:#1c1d1f;--soft:#5d6066;--link:#0b5cad;
--good:#12703f;--warn:#8a5300;--bad:#b3261e;--good-ground:#e4f4ea;--warn-ground:#fdf0d8;--bad-ground:#fce8e6}
@media (prefers-color-scheme:dark){:root{--ground:#101214;--card:#181b1e;--line:#2b3035;--ink:#e6e7e9;--soft:#9ba1a8;--link:#7fb8f5;
--good:#6fd09a;--warn:#f0be6a;--bad:#ff9c92;--good-ground:#12301f;--warn-ground:#352811;--bad-ground:#3b1a18}}
*{box-sizing:border-box;margin:0;padding:0}
html{font:15px/1.5 ui-sans-serif,system-ui,-apple-system,"Segoe UI",Roboto,"Helvetica Neue",Arial,sans-serif;-webkit-text-size-adjust:100%}
body{background:var(--ground);color:var(--ink);max-width:72rem;margin:0 auto;padding:1.5rem 1.25rem 2rem;overflow-wrap:anywhere;font-variant-numeric:tabular-nums}
code{font:.9em/1.4 ui-monospace,SFMono-Regular,"SF Mono",Menlo,Consolas,"DejaVu Sans Mono",monospace}
a{color:var(--link);text-underline-offset:.25em;text-decoration-thickness:1px}
:focus-visible{outline:2px solid var(--link);outline-offset:2px;border-radius:3px}
header{display:flex;flex-wrap:wrap;align-items:center;gap:.4rem .7rem;margin-bottom:1.25rem}
.mark{width:1.7rem;height:1.7rem;fill:none;stroke:currentColor;stroke-width:1.8;stroke-linecap:round;stroke-linejoin:round}
h1{font-size:1.25rem;font-weight:650;letter-spacing:-.01em}
h2{font-size:1rem;font-weight:600;margin:1.75rem 0 .6rem}
h2 small,.of{font-size:.85em;font-weight:400;color:var(--soft)}
h3{font-size:1rem;font-weight:600}
.facts{color:var(--soft);font-size:.9rem;margin-left:auto}
.tag{display:inline-block;padding:.05rem .55rem;border-radius:1rem;font-size:.82rem;font-weight:550;line-height:1.5;border:1px solid var(--line);color:var(--soft);white-space:nowrap}
.good,.warn,.bad{border-color:transparent}
.good{color:var(--good);background:var(--good-ground)}
.warn{color:var(--warn);background:var(--warn-ground)}
.bad{color:var(--bad);background:var(--bad-ground)}
.note{padding:.65rem .9rem;border-radius:.5rem;margin-bottom:1rem}
.card{background:var(--card);border:1px solid var(--line);border-radius:.6rem}
ul,ol{list-style:none}
dt{color:var(--soft);font-size:.8rem;line-height:1.35}
dd{font-size:1.05rem;font-weight:550;line-height:1.35}
dd .of{display:block;font-size:.78rem}
.zero dd{font-weight:400;color:var(--soft)}
.near dd{color:var(--warn)}
.sum{display:grid;grid-template-columns:repeat(5,1fr);gap:1px;background:var(--line);overflow:hidden}
.sum>div{background:var(--card);padding:.75rem 1rem}
.sum dd{font-size:1.45rem;font-weight:600;letter-spacing:-.01em}
.upstreams>li{padding:.85rem 1rem}
.upstreams>li+li,.errors>li+li{border-top:1px solid var(--line)}
.line{display:flex;flex-wrap:wrap;align-items:baseline;gap:.2rem .6rem}
.line>:last-child{margin-left:auto}
.soft,time{color:var(--soft);font-size:.9rem}
.figures{display:grid;grid-template-columns:repeat(9,1fr);gap:.5rem .75rem;margin-top:.6rem}
p.bad a,p.warn a{color:inherit}
.trouble{margin-top:.55rem;font-size:.9rem;padding:.35rem .7rem;border-radius:.4rem}
.past{padding:0;color:var(--soft)}
table{width:100%;border-collapse:collapse;font-size:.93rem}
th{text-align:left;white-space:nowrap;font-weight:500;font-size:.8rem;color:var(--soft)}
th,td{padding:.5rem .6rem;vertical-align:baseline;border-top:1px solid var(--line)}
tr:first-child th{border-top:0}
th:first-child,td:first-child{padding-left:1rem;width:6.5rem}
th:last-child,td:last-child{padding-right:1rem;text-align:right}
td .soft{font-size:.85rem;margin-left:.35rem}
.errors>li{padding:.7rem 1rem}
.errors p+p{margin-top:.15rem}
.errors .remedy{color:var(--soft);font-size:.9rem}
.more,.none{padding:.7rem 1rem;color:var(--soft);font-size:.9rem}
.more{border-top:1px solid var(--line)}
footer{margin-top:1.5rem;display:flex;flex-wrap:wrap;gap:.3rem 1.1rem;color:var(--soft);font-size:.9rem}
.hidden{position:absolute;width:1px;height:1px;overflow:hidden;clip-path:inset(50%);white-space:nowrap}
li:target{scroll-margin-top:1rem;background:var(--warn-ground)}
@media (max-width:60rem){.figures{grid-template-columns:repeat(5,1fr)}}
@media (max-width:40rem){body{padding:1rem .75rem 1.5rem}.facts{margin-left:0;width:100%}.sum{grid-template-columns:repeat(2,1fr)}
.sum>div{padding:.6rem .75rem}.sum>div:last-child:nth-child(odd){grid-column:span 2}.sum dd{font-size:1.25rem}.figures{grid-template-columns:repeat(3,1fr)}
th:first-child,td:first-child{width:4.8rem}th,td{padding:.5rem .35rem}
.line>:last-child{margin-left:0}td .soft{display:block;margin:0}.minor.zero{display:none}}
`;
