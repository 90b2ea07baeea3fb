"""The style of the report's page: readable from a distance, in light and dark, and on paper."""

STYLE = """
:root { color-scheme: light dark; --line: #8885; --quiet: #888; --grave: #c62828; --soft: #8881; }
@media (prefers-color-scheme: dark) { :root { --grave: #ff8a80; } }
body { margin: 0; font: 16px/1.5 system-ui, sans-serif; }
main { max-width: 72rem; margin: 0 auto; padding: 1.5rem; }
h1 { margin: 0; overflow-wrap: anywhere; }
h2 { margin: 2rem 0 .5rem; font-size: 1.2rem; }
.quiet { color: var(--quiet); margin: .25rem 0; }
.grave { color: var(--grave); }
.tiles { display: flex; flex-wrap: wrap; gap: .75rem; margin: 1rem 0 .5rem; }
.tiles div { flex: 1 1 7rem; padding: .75rem 1rem; border: 1px solid var(--line); border-radius: .5rem; }
.tiles b { display: block; font-size: 1.6rem; line-height: 1.2; }
.tiles .bad { border-color: var(--grave); color: var(--grave); }
details { border: 1px solid var(--line); border-radius: .5rem; margin: .5rem 0; padding: 0 1rem; }
summary { cursor: pointer; padding: .6rem 0; font-weight: 600; }
.count { padding: .05rem .5rem; border-radius: 1rem; background: var(--line); font-size: .85rem; font-weight: 400; }
.wide { overflow-x: auto; margin-bottom: .75rem; }
table { border-collapse: collapse; width: 100%; font-size: .95rem; }
th, td { text-align: start; vertical-align: top; padding: .35rem .75rem .35rem 0; border-top: 1px solid var(--line); }
td { overflow-wrap: break-word; }
th { color: var(--quiet); font-weight: 600; border-top: 0; }
i { color: var(--quiet); font-style: normal; font-size: .85em; }
@media print { details { border: 0; padding: 0; } }
"""
