/// How pages look: in light and dark, on a desk, on a phone, on paper.
///
/// Blue and orange stay apart for the colour-blind, and no line is known by its colour alone: the orange ones are
/// dashed, and each has its name beside it.
enum PageStyle {
  static let sheet: HTML = """
    \(colours)\(text)\(tables)\(drawings)\(paper)
    """

  private static let light: HTML = """
    --paper:#fff;--card:#f3f6f9;--ink:#18212c;--soft:#515d6b;--rule:#d3dae2;--seen:#0063ab;
    --next:#a84300;--size:#18212c;--shade:#18212c40;--warn:#8f2400;--warnpaper:#fff1e6;--good:#0a6b3d;
    """
  private static let dark: HTML = """
    --paper:#10151c;--card:#1a222c;--ink:#e9eef4;--soft:#a5b1bf;--rule:#344050;--seen:#66b5f6;
    --next:#ffa964;--size:#e9eef4;--shade:#0009;--warn:#ffb38a;--warnpaper:#33200f;--good:#62d39a;
    """
  private static let colours: HTML = """
    :root{color-scheme:light dark;\(light)}
    @media (prefers-color-scheme:dark){:root{\(dark)}}

    """
  private static let text: HTML = """
    *{box-sizing:border-box}
    html{-webkit-text-size-adjust:100%;text-size-adjust:100%}
    body{margin:0;background:var(--paper);color:var(--ink);font:16px/1.55 system-ui,sans-serif}
    main{max-width:864px;margin:0 auto;padding:28px 24px 48px}
    .eyebrow{margin:0 0 6px;color:var(--soft);font-size:14px;overflow-wrap:anywhere}
    h1{margin:0 0 12px;font-size:30px;line-height:1.2;letter-spacing:-.01em;text-wrap:balance;
    overflow-wrap:anywhere}
    h2{margin:40px 0 8px;font-size:20px;line-height:1.3}
    h3{margin:28px 0 2px;font-size:16px;overflow-wrap:anywhere}
    h3 small{color:var(--soft);font-size:14px;font-weight:400}
    p{margin:8px 0;max-width:66ch;overflow-wrap:anywhere}
    .lead{font-size:18px}
    .command{margin:12px 0 20px;padding:14px 16px;background:var(--card);border:1px solid var(--rule);
    border-left:4px solid var(--seen);border-radius:6px;white-space:pre-wrap;overflow-wrap:anywhere;
    font:15px/1.5 ui-monospace,monospace;-webkit-user-select:all;user-select:all}
    .command span{display:inline-block;max-width:100%}
    code{font-family:ui-monospace,monospace}
    .warning{margin:20px 0;padding:12px 18px;background:var(--warnpaper);border-left:4px solid var(--warn);
    border-radius:6px}
    .warning h2{margin:0;color:var(--warn);font-size:17px}
    .warning ul{margin:4px 0;padding-left:20px}
    .warning li{margin:4px 0;overflow-wrap:anywhere}
    .good{color:var(--good);font-weight:600}
    .bad{color:var(--warn);font-weight:600}
    dl{margin:8px 0}
    dl div{display:flex;gap:4px 16px;padding:5px 0;border-bottom:1px solid var(--rule)}
    dt{flex:0 0 130px;color:var(--soft)}
    dd{margin:0;min-width:0;overflow-wrap:anywhere}
    @media (max-width:639px){main{padding:20px 16px 36px}h1{font-size:25px}dl div{display:block}}

    """
  private static let tables: HTML = """
    .scroll{overflow-x:auto;margin:12px 0;border:1px solid var(--rule);border-radius:6px;background:
    linear-gradient(to right,var(--paper) 60%,transparent) 0 0/32px 100% no-repeat local,
    linear-gradient(to left,var(--paper) 60%,transparent) 100% 0/32px 100% no-repeat local,
    linear-gradient(to right,var(--shade),transparent) 0 0/14px 100% no-repeat scroll,
    linear-gradient(to left,var(--shade),transparent) 100% 0/14px 100% no-repeat scroll}
    table{border-collapse:collapse;width:100%;font-size:13.5px;font-variant-numeric:tabular-nums}
    th,td{padding:7px 11px;text-align:right;white-space:nowrap;border-bottom:1px solid var(--rule)}
    thead th{color:var(--soft);font-weight:500;vertical-align:bottom}
    tbody tr:last-child>*{border-bottom:0}
    th:first-child,td.words{text-align:left}
    td.words{white-space:normal;min-width:240px}
    tbody th{font-weight:600}

    """
  private static let drawings: HTML = """
    figure{margin:10px 0 22px}
    figcaption{margin-top:4px;color:var(--soft);font-size:14px;max-width:74ch}
    svg{display:block;width:100%;height:auto;overflow:visible}
    svg.narrow{display:none}
    svg text{font:12px system-ui,sans-serif;fill:var(--soft)}
    svg.narrow text{font-size:11px}
    @media (max-width:639px){svg.wide{display:none}svg.narrow{display:block;max-width:460px}}
    .grid{stroke:var(--rule);stroke-width:1}
    .axis{stroke:var(--soft);stroke-width:1}
    .curve{fill:none;stroke:var(--seen);stroke-width:2.5;stroke-linejoin:round;stroke-linecap:round}
    .area{fill:var(--seen);fill-opacity:.12}
    .fan{fill:var(--next);fill-opacity:.16}
    .next{fill:none;stroke:var(--next);stroke-width:2;stroke-dasharray:6 4}
    .likely{fill:none;stroke:var(--next);stroke-width:2;stroke-dasharray:2 3}
    .range{stroke:var(--next);stroke-width:7;stroke-opacity:.35}
    .size{fill:none;stroke:var(--size);stroke-width:2}
    .leader{fill:none;stroke:var(--soft);stroke-width:1;stroke-opacity:.6}
    .level{fill:none;stroke:var(--seen);stroke-width:1;stroke-dasharray:1 3}
    .moment{stroke:var(--soft);stroke-width:1;stroke-dasharray:1 3}
    .checkpoint{fill:var(--paper);stroke:var(--seen);stroke-width:2}
    .dot{fill:var(--next)}
    .touch{fill:transparent}
    svg text.of-seen{fill:var(--seen);font-weight:600}
    svg text.of-next{fill:var(--next);font-weight:600}
    svg text.of-size{fill:var(--size);font-weight:600}
    svg text.name{fill:var(--ink)}
    .bar{fill:var(--seen)}
    .held{fill:var(--soft);fill-opacity:.28}
    .suspend{fill:var(--next)}
    .take{fill:var(--ink)}
    .resume{fill:var(--seen)}
    .still{fill:var(--seen);fill-opacity:.12}
    .cell{fill:var(--seen);stroke:var(--paper);stroke-width:1}
    .unseen{stroke:var(--paper);stroke-width:1}
    .hatch{stroke:var(--soft);stroke-width:1;stroke-opacity:.55}
    .key{font-weight:600;white-space:nowrap}
    .key-seen,.key-resume{color:var(--seen)}
    .key-next,.key-suspend{color:var(--next)}
    .key-take{color:var(--ink)}

    """
  private static let paper: HTML = """
    @media print{:root{color-scheme:light;\(light)}
    *{-webkit-print-color-adjust:exact;print-color-adjust:exact}
    body{font-size:12px}main{max-width:none;padding:0}h1{font-size:22px}h2{margin-top:24px;font-size:15px}
    h3{margin-top:14px;font-size:13px}h3 small,figcaption,.eyebrow{font-size:11px}.lead{font-size:14px}
    .command{font-size:12px}
    h2,h3{break-after:avoid}figure,tr,.command,.warning{break-inside:avoid}
    .scroll{overflow:visible}table{font-size:9px}th,td{padding:3px 4px}thead th{white-space:normal}}

    """
}
