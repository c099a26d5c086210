// Draws the comparison's charts from the JSON in the page. Every chart has its table beside it, so nothing here is needed.
(function () {
  "use strict";

  const data = JSON.parse(document.getElementById("chart-data").textContent);
  const root = document.documentElement;
  const dark = matchMedia("(prefers-color-scheme: dark)");
  const PRINTED_WIDTH = 345;
  const FONT = "12px system-ui, sans-serif";
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
    return Object.assign({
      label: label, labelFont: FONT, font: FONT, labelSize: 20, labelGap: 2, stroke: color("--soft"),
      grid: { stroke: color("--grid"), width: 1 }, ticks: { stroke: color("--line"), width: 1, size: 4 },
    }, extra);
  }

  // A line without a side is what was offered to all.
  function series(line, extra) {
    const offered = line.side == null;
    return Object.assign({
      label: line.label,
      stroke: color(offered ? "--soft" : "--s" + line.side),
      width: offered ? 1.5 : 2,
      dash: offered ? [] : data.dashes[line.side],
      points: { show: false },
    }, extra);
  }

  // As many of 1, 2, 5, 10, … as there is room for.
  function ticks(u, low, high) {
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

  function distribution(spec) {
    const [low, high] = [spec.x[0], spec.x[spec.x.length - 1]];
    return {
      height: 300,
      scales: { x: { time: false, distr: 3, range: [low, high] }, y: { range: [0, 104] } },
      axes: [
        axis("completion time (logarithmic)", {
          size: 26, splits: (u) => ticks(u, low, high), filter: (u, splits) => splits, values: (u, splits) => splits.map(duration),
        }),
        axis("% of ended sagas", { size: 46, splits: () => [0, 25, 50, 75, 95] }),
      ],
      series: [{ label: "within", value: (u, value) => duration(value) }].concat(
        spec.lines.map((line) => series(line, { value: (u, value) => (value == null ? "" : value.toFixed(1) + " %") }))
      ),
    };
  }

  // The storm's windows as tints that add up where they overlap, the drain as a hatching.
  function backdrop(spec) {
    return function (u) {
      const { left, top, width, height } = u.bbox;
      const at = (second) => Math.min(left + width, Math.max(left, u.valToPos(second, "x", true)));
      u.ctx.save();
      u.ctx.fillStyle = color("--storm");
      u.ctx.globalAlpha = Math.min(0.09, 0.3 / spec.windows.length);
      spec.windows.forEach(([start, end]) => u.ctx.fillRect(at(start), top, at(end) - at(start), height));
      u.ctx.globalAlpha = 1;
      if (spec.load_ended_s != null) {
        const drain = at(spec.load_ended_s);
        u.ctx.beginPath();
        u.ctx.rect(drain, top, left + width - drain, height);
        u.ctx.clip();
        u.ctx.strokeStyle = color("--line");
        u.ctx.lineWidth = devicePixelRatio || 1;
        u.ctx.beginPath();
        for (let x = drain - height; x < left + width; x += 7 * (devicePixelRatio || 1)) {
          u.ctx.moveTo(x, top + height);
          u.ctx.lineTo(x + height, top);
        }
        u.ctx.stroke();
      }
      u.ctx.restore();
    };
  }

  function panel(spec, each, number) {
    const last = number === spec.panels.length - 1;
    return {
      height: last ? 170 : 130,
      scales: { x: { time: false, range: [0, spec.x.length] }, y: { range: each.range } },
      axes: [
        last ? axis("seconds since the load started", { size: 26 }) : axis(null, { size: 6, values: () => [] }),
        axis(each.unit, { size: 46 }),
      ],
      series: [{ label: "second", value: (u, value) => compact(value) }].concat(
        each.lines.map((line) => series(line, { paths: uPlot.paths.stepped({ align: 1 }), value: (u, value) => compact(value) }))
      ),
      padding: [8, 8, 0, 0],
      cursor: { y: false, sync: { key: "timeline" } },
      hooks: { drawClear: [backdrop(spec)] },
    };
  }

  function plot(chart, options, lines) {
    const host = document.getElementById("plot-" + chart.id);
    options.width = root.classList.contains("printed") ? PRINTED_WIDTH : Math.max(240, host.clientWidth);
    options.cursor = Object.assign({ drag: { x: false, y: false }, points: { size: 7 } }, options.cursor);
    options.legend = { markers: { width: 0, fill: (u, index) => u.series[index].stroke(u, index) } };
    return new uPlot(options, [chart.spec.x].concat(lines.map((line) => line.values)), host);
  }

  function draw() {
    plots.forEach((each) => each.destroy());
    plots = data.charts.flatMap((chart) => {
      const spec = chart.spec;
      if (spec.kind === "distribution") return [plot(chart, distribution(spec), spec.lines)];
      return spec.panels.map((each, number) => plot(chart, panel(spec, each, number), each.lines));
    });
  }

  function printed(on) {
    root.classList.toggle("printed", on);
    draw();
  }

  draw();
  dark.addEventListener("change", draw);
  addEventListener("beforeprint", () => printed(true));
  addEventListener("afterprint", () => printed(false));
  new ResizeObserver(() => {
    if (root.classList.contains("printed")) return;
    plots.forEach((each) => {
      const width = Math.max(240, each.root.parentElement.clientWidth);
      if (Math.abs(width - each.width) > 1) each.setSize({ width: width, height: each.height });
    });
  }).observe(document.body);
})();
