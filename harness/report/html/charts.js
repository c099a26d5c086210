// Draws the page's charts from the JSON in it. Every chart has its table beside it, so nothing here is needed to read them.
(function () {
  "use strict";

  const charts = JSON.parse(document.getElementById("chart-data").textContent);
  const root = document.documentElement;
  const DASHES = [[], [7, 3], [2, 3], [10, 3, 2, 3]];
  const PRINTED_WIDTH = { loop: 345, distribution: 700 };
  const LAYER_DASHES = { sdk: [7, 3], delivery: [3, 5], stepfunctions: [10, 3, 2, 3] };
  let plots = [];

  function color(name) {
    return getComputedStyle(root).getPropertyValue(name).trim();
  }

  function compact(value) {
    return value == null ? "" : value >= 100 ? value.toFixed(0) : String(Math.round(value * 10) / 10);
  }

  function duration(ms) {
    return ms == null ? "" : ms >= 1000 ? compact(ms / 1000) + " s" : compact(ms) + " ms";
  }

  function axis(label, extra) {
    const font = "12px system-ui, sans-serif";
    return Object.assign({
      label: label, labelFont: font, font: font, labelSize: 20, labelGap: 2, stroke: color("--soft"),
      grid: { stroke: color("--grid"), width: 1 }, ticks: { stroke: color("--line"), width: 1, size: 4 },
    }, extra);
  }

  function text(u, words, x, y, align) {
    const ratio = devicePixelRatio || 1;
    u.ctx.fillStyle = color("--soft");
    u.ctx.font = 11 * ratio + "px system-ui, sans-serif";
    u.ctx.textAlign = align;
    u.ctx.textBaseline = "top";
    u.ctx.fillText(words, x, y);
  }

  // Storm windows as tints that add up where they overlap, the drain as a hatching.
  function backdrop(spec) {
    return function (u) {
      const ratio = devicePixelRatio || 1;
      const box = u.bbox;
      const at = (second) => Math.min(box.left + box.width, Math.max(box.left, u.valToPos(second, "x", true)));
      u.ctx.save();
      u.ctx.beginPath();
      u.ctx.rect(box.left, box.top, box.width, box.height);
      u.ctx.clip();
      u.ctx.fillStyle = color("--storm");
      u.ctx.globalAlpha = Math.min(0.09, 0.3 / spec.windows.length);
      spec.windows.forEach(([start, end]) => u.ctx.fillRect(at(start), box.top, at(end) - at(start), box.height));
      u.ctx.globalAlpha = 1;
      const drain = at(spec.load_ended_s);
      u.ctx.strokeStyle = color("--line");
      u.ctx.lineWidth = ratio;
      u.ctx.save();
      u.ctx.beginPath();
      u.ctx.rect(drain, box.top, box.left + box.width - drain, box.height);
      u.ctx.clip();
      u.ctx.beginPath();
      for (let x = drain - box.height; x < box.left + box.width; x += 7 * ratio) {
        u.ctx.moveTo(x, box.top + box.height);
        u.ctx.lineTo(x + box.height, box.top);
      }
      u.ctx.stroke();
      u.ctx.restore();
      u.ctx.restore();
    };
  }

  // Above the plot, where no line crosses them.
  function names(spec) {
    return function (u) {
      const ratio = devicePixelRatio || 1;
      const y = u.bbox.top - 14 * ratio;
      if (spec.windows.length) {
        const start = Math.min(...spec.windows.map((window) => window[0]));
        text(u, "storm" + (spec.back ? ", " + spec.back.words : ""), Math.max(u.bbox.left, u.valToPos(start, "x", true)), y, "left");
      }
      text(u, "drain", u.bbox.left + u.bbox.width, y, "right");
    };
  }

  // When completion times and backlog were back.
  function back(spec) {
    return function (u) {
      if (!spec.back || spec.back.at_s == null) return;
      const ratio = devicePixelRatio || 1;
      const box = u.bbox;
      const x = u.valToPos(Math.min(spec.back.at_s, spec.x.length), "x", true);
      u.ctx.save();
      u.ctx.strokeStyle = color("--ink");
      u.ctx.lineWidth = ratio;
      u.ctx.setLineDash([2 * ratio, 3 * ratio]);
      u.ctx.beginPath();
      u.ctx.moveTo(x, box.top);
      u.ctx.lineTo(x, box.top + box.height);
      u.ctx.stroke();
      u.ctx.restore();
    };
  }

  // Role of a line to its color, width and dashes: a layer is told from another without its color too.
  function look(spec, line) {
    const own = color("--t" + spec.topology % 4);
    if (line.faint) return { stroke: own + "73", width: 1, class: "faint" };
    if (line.role === "offered") return { stroke: color("--soft"), width: 1.5, dash: [4, 2] };
    if (line.role in LAYER_DASHES) return { stroke: color("--" + line.role), width: 2, dash: LAYER_DASHES[line.role] };
    return { stroke: own, width: 2.25 };
  }

  function panelChart(spec, panel, number) {
    const end = spec.x.length;
    const first = number === 0;
    const last = number === spec.panels.length - 1;
    const lines = panel.lines.map((line) => Object.assign({
      label: line.label,
      points: { show: false },
      paths: uPlot.paths.stepped({ align: 1 }),
      value: (u, value) => compact(value),
    }, look(spec, line)));
    const seconds = last ? axis("seconds since the load started", { size: 26 }) : axis(null, { size: 6, values: () => [] });
    return {
      height: (last ? 170 : 130) + (first ? 30 : 0),
      scales: { x: { time: false, range: [0, end] }, y: { range: panel.range } },
      axes: [seconds, axis(panel.unit, { size: 46 })],
      series: [{ label: "second", value: (u, value) => compact(value) }].concat(lines),
      padding: [first ? 18 : 6, 8, 0, 0],
      cursor: { y: false, sync: { key: "loop" } },
      hooks: { drawClear: [backdrop(spec)], draw: [first ? names(spec) : () => {}, back(spec)] },
    };
  }

  // As many of 1, 2, 5, 10, … as there is room for.
  function decades(u, low, high) {
    const room = u.bbox.width / (devicePixelRatio || 1) / 56;
    let found = [];
    for (const steps of [[1, 2, 5], [1, 3], [1]]) {
      found = [];
      for (let power = Math.floor(Math.log10(low)); power <= Math.ceil(Math.log10(high)); power++) {
        steps.forEach((step) => found.push(step * Math.pow(10, power)));
      }
      found = found.filter((value) => value >= low && value <= high);
      if (found.length <= room) break;
    }
    return found;
  }

  function quantileLines(u) {
    const ratio = devicePixelRatio || 1;
    const box = u.bbox;
    u.ctx.save();
    u.ctx.strokeStyle = color("--soft");
    u.ctx.lineWidth = ratio;
    u.ctx.setLineDash([3 * ratio, 4 * ratio]);
    [50, 95, 99].forEach((share) => {
      const y = u.valToPos(share, "y", true);
      u.ctx.globalAlpha = 0.6;
      u.ctx.beginPath();
      u.ctx.moveTo(box.left, y);
      u.ctx.lineTo(box.left + box.width, y);
      u.ctx.stroke();
    });
    u.ctx.restore();
    u.ctx.save();
    text(u, "p50", box.left + 4 * ratio, u.valToPos(50, "y", true) + 2 * ratio, "left");
    text(u, "p95", box.left + 4 * ratio, u.valToPos(95, "y", true) + 2 * ratio, "left");
    text(u, "p99", box.left + 4 * ratio, u.valToPos(99, "y", true) - 12 * ratio, "left");
    u.ctx.restore();
  }

  function distributionChart(spec) {
    const first = spec.x[0];
    const last = spec.x[spec.x.length - 1];
    const lines = spec.lines.map((line) => ({
      label: line.label,
      stroke: color("--t" + line.topology % 4),
      width: 2.25,
      dash: DASHES[line.topology % 4],
      points: { show: false },
      value: (u, value) => (value == null ? "" : value.toFixed(1) + " %"),
    }));
    return {
      height: 300,
      scales: { x: { time: false, distr: 3, range: [first, last] }, y: { range: [0, 106] } },
      axes: [
        axis("completion time (logarithmic)", {
          size: 26, splits: (u) => decades(u, first, last), filter: (u, splits) => splits, values: (u, splits) => splits.map(duration),
        }),
        axis("% of ended sagas", { size: 46, splits: () => [0, 25, 50, 75, 100] }),
      ],
      series: [{ label: "within", value: (u, value) => duration(value) }].concat(lines),
      hooks: { drawClear: [quantileLines] },
    };
  }

  // The sample of a line in the legend is a border, which knows fewer dashes.
  function borderOf(dash) {
    return !dash || !dash.length ? "solid" : dash[0] < 4 ? "dotted" : "dashed";
  }

  function plot(chart, options, lines) {
    const printed = root.classList.contains("printed");
    const host = document.getElementById("plot-" + chart.id);
    options.width = printed ? PRINTED_WIDTH[chart.spec.kind] : Math.max(240, host.clientWidth);
    options.cursor = Object.assign({ drag: { x: false, y: false }, points: { size: 7 } }, options.cursor);
    options.legend = { live: !printed, markers: { width: 2, fill: "none", dash: (u, index) => borderOf(u.series[index].dash) } };
    return new uPlot(options, [chart.spec.x].concat(lines.map((line) => line.values)), host);
  }

  function draw() {
    plots.forEach((each) => each.destroy());
    plots = charts.flatMap((chart) => {
      const spec = chart.spec;
      if (spec.kind === "distribution") return [plot(chart, distributionChart(spec), spec.lines)];
      return spec.panels.map((panel, number) => plot(chart, panelChart(spec, panel, number), panel.lines));
    });
  }

  draw();
  matchMedia("(prefers-color-scheme: dark)").addEventListener("change", draw);
  addEventListener("themechange", draw);
  addEventListener("beforeprint", () => {
    root.classList.add("printed");
    draw();
  });
  addEventListener("afterprint", () => {
    root.classList.remove("printed");
    draw();
  });
  new ResizeObserver(() => {
    plots.forEach((each) => {
      const width = Math.max(240, each.root.parentElement.clientWidth);
      if (!root.classList.contains("printed") && Math.abs(width - each.width) > 1) {
        each.setSize({ width: width, height: each.height });
      }
    });
  }).observe(document.body);
})();
