// The live charts: both topologies on one axis, the seconds since the load of a block started. A topology has its color, what is
// drawn of it its dashes; a block that others of its topology have followed is fainter.
const Charts = (function () {
  "use strict";

  const root = document.documentElement;
  const LAYERS = { sdk: "SDK", delivery: "delivery", stepfunctions: "Step Functions" };
  const DASHES = { sdk: [7, 3], delivery: [], stepfunctions: [2, 3] };
  const FAINT = "59";
  let plots = {};
  let shape = "";

  function color(name) {
    return getComputedStyle(root).getPropertyValue(name).trim();
  }

  function compact(value) {
    return value == null ? "" : value >= 100 ? value.toFixed(0) : String(Math.round(value * 100) / 100);
  }

  function duration(ms) {
    return ms == null ? "" : ms >= 1000 ? compact(ms / 1000) + " s" : compact(Math.round(ms * 10) / 10) + " ms";
  }

  // The sample of a line in the legend is a border, which knows fewer dashes.
  function borderOf(dash) {
    return !dash || !dash.length ? "solid" : dash[0] < 4 ? "dotted" : "dashed";
  }

  function axis(extra) {
    const font = "12px system-ui, sans-serif";
    return Object.assign({
      font: font, stroke: color("--soft"), grid: { stroke: color("--grid"), width: 1 },
      ticks: { stroke: color("--line"), width: 1, size: 4 },
    }, extra);
  }

  function decades(u, index, low, high) {
    const found = [];
    for (let power = Math.floor(Math.log10(low)); power <= Math.ceil(Math.log10(high)); power++) {
      [1, 2, 5].forEach((step) => {
        const value = step * Math.pow(10, power);
        if (value >= low && value <= high) found.push(value);
      });
    }
    const every = found.length > 7 ? 3 : 1;
    return found.filter((value, place) => place % every === 0);
  }

  // The storm's windows as tints that add up where they overlap, and where the load ends.
  function backdrop(live) {
    return function (u) {
      const box = u.bbox;
      const at = (second) => Math.min(box.left + box.width, Math.max(box.left, u.valToPos(second, "x", true)));
      u.ctx.save();
      u.ctx.fillStyle = color("--storm");
      u.ctx.globalAlpha = Math.min(0.09, 0.2 / Math.max(1, live.windows.length));
      live.windows.forEach(([, start, end]) => u.ctx.fillRect(at(start), box.top, at(end) - at(start), box.height));
      u.ctx.globalAlpha = 1;
      u.ctx.strokeStyle = color("--soft");
      u.ctx.lineWidth = devicePixelRatio || 1;
      u.ctx.setLineDash([4, 4]);
      u.ctx.beginPath();
      u.ctx.moveTo(at(live.duration_s), box.top);
      u.ctx.lineTo(at(live.duration_s), box.top + box.height);
      u.ctx.stroke();
      u.ctx.restore();
    };
  }

  // Every line of a chart: a label, an id that tells lines apart, its look, its values.
  function lines(live, kind) {
    const names = Object.keys(live.topologies);
    const latest = {};
    live.blocks.forEach((block) => { latest[block.topology] = block.block; });
    const isFaint = (block) => latest[block.topology] !== block.block;
    // Faint ones beneath the others, and those in the order of the table.
    const ordered = [...live.blocks].sort((a, b) => isFaint(b) - isFaint(a) || names.indexOf(a.topology) - names.indexOf(b.topology));
    const made = ordered.flatMap((block) => {
      const own = color("--t" + names.indexOf(block.topology) % 4);
      const faint = isFaint(block);
      const line = (what, values, dash) => ({
        id: block.block + what, label: what ? block.topology + ", " + what : block.topology, values: values, faint: faint,
        stroke: faint ? own + FAINT : own, width: faint ? 1 : 2, dash: dash || [],
      });
      const of = block.lines;
      if (kind === "completion") return [line("p50", of.p50_ms), line("p95", of.p95_ms, [6, 4])];
      if (kind === "goodput") return [line("", of.ended_per_s)];
      if (kind === "age") return [line("", of.oldest_s)];
      return Object.keys(LAYERS).filter((layer) => of.retries[layer]).map((layer) => line(LAYERS[layer], of.retries[layer], DASHES[layer]));
    });
    if (kind === "goodput" && live.blocks.length) {
      // Of the newest block: another round has other arrivals.
      const offered = live.blocks[live.blocks.length - 1].lines.offered_per_s;
      made.unshift({ id: "offered", label: "offered", values: offered, faint: false, stroke: color("--soft"), width: 1.5, dash: [3, 3] });
    }
    return made;
  }

  const KINDS = {
    completion: { scale: { distr: 3 }, axis: { size: 58, splits: decades, filter: (u, splits) => splits, values: (u, splits) => splits.map(duration) }, value: duration },
    goodput: { scale: { range: (u, low, high) => [0, Math.max(1, high * 1.1)] }, axis: { size: 46 }, value: compact },
    age: { scale: { range: (u, low, high) => [0, Math.max(1, high * 1.1)] }, axis: { size: 46, values: (u, splits) => splits.map((value) => compact(value) + " s") }, value: (value) => compact(value) + (value == null ? "" : " s") },
    retries: { scale: { range: (u, low, high) => [1, Math.max(1.5, 1 + (high - 1) * 1.1)] }, axis: { size: 46, values: (u, splits) => splits.map((value) => compact(value) + "x") }, value: (value) => compact(value) + (value == null ? "" : "x") },
  };

  function options(live, kind, made, host) {
    const how = KINDS[kind];
    return {
      width: Math.max(240, host.clientWidth),
      height: 190,
      padding: [8, 18, 0, 0],
      scales: { x: { time: false, range: (u, low, high) => [0, Math.max(live.duration_s, high || 0)] }, y: how.scale },
      axes: [axis({ size: 30, values: (u, splits) => splits.map((value) => value + " s") }), axis(how.axis)],
      series: [{ label: "second", value: (u, value) => compact(value) }].concat(made.map((line) => ({
        label: line.label, stroke: line.stroke, width: line.width, dash: line.dash, spanGaps: true,
        class: line.faint ? "faint" : null, points: { show: false }, value: (u, value) => how.value(value),
      }))),
      cursor: { y: false, drag: { x: false, y: false }, sync: { key: "sagas" } },
      legend: { markers: {
        width: 2.5, fill: "transparent", stroke: (u, index) => u.series[index].stroke(u, index),
        dash: (u, index) => borderOf(u.series[index].dash),
      } },
      hooks: { drawClear: [backdrop(live)] },
    };
  }

  function table(live, made) {
    const bin = live.blocks.length ? live.blocks[0].bin_s : 1;
    const length = Math.max(0, ...made.map((line) => line.values.length));
    const filled = (values) => values.concat(new Array(length - values.length).fill(null));
    return [Array.from({ length: length }, (unused, index) => index * bin)].concat(made.map((line) => filled(line.values)));
  }

  // Draws what there is; a chart is made anew only when its lines are others than before.
  function draw(live) {
    if (!window.uPlot) return;
    const made = Object.fromEntries(Object.keys(KINDS).map((kind) => [kind, lines(live, kind)]));
    const theme = color("--paper");
    const asked = JSON.stringify([live.run_id, live.windows, theme, Object.values(made).map((each) => each.map((line) => [line.id, line.stroke]))]);
    Object.keys(KINDS).forEach((kind) => {
      const host = document.getElementById(kind);
      const data = table(live, made[kind]);
      if (asked === shape) {
        plots[kind].setData(data);
        return;
      }
      if (plots[kind]) plots[kind].destroy();
      plots[kind] = new uPlot(options(live, kind, made[kind], host), data, host);
    });
    shape = asked;
  }

  new ResizeObserver(() => {
    Object.entries(plots).forEach(([kind, plot]) => {
      const width = Math.max(240, document.getElementById(kind).clientWidth);
      if (Math.abs(width - plot.width) > 1) plot.setSize({ width: width, height: plot.height });
    });
  }).observe(document.body);

  return { draw: draw, duration: duration, LAYERS: LAYERS };
})();
