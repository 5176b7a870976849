// The axes of a pane, and what else uPlot is told.
(function (beambench) {
  "use strict";

  const FONT = "12px system-ui, sans-serif";
  const STEPS = [1, 2, 5];

  // Steps of an axis that people count in, for a span of any size.
  function steps(span) {
    const power = 10 ** Math.floor(Math.log10(span || 1));
    return [0.01, 0.1, 1, 10].flatMap((size) => STEPS.map((step) => step * size * power));
  }

  function ticks(low, high, step) {
    const made = [];
    for (let at = Math.ceil(low / step); at * step <= high && made.length < 40; at += 1) made.push(at * step);
    return made;
  }

  function tickText(value, step, size) {
    const scaled = value / size;
    if (Math.abs(scaled) >= 1e9 || (scaled !== 0 && Math.abs(step / size) < 1e-6))
      return scaled.toExponential(1);
    const decimals = Math.max(0, -Math.floor(Math.log10(step / size) + 1e-9));
    return scaled.toLocaleString("en-US", {
      minimumFractionDigits: decimals,
      maximumFractionDigits: Math.min(decimals, 20),
    });
  }

  // How many characters titles begin with in common, in whole words; something is left of each.
  function sharedWords(titles) {
    const words = titles.map((title) => title.split(/(?<=\s)/));
    let count = 0;
    while (words.every((one) => count < one.length - 1 && one[count] === words[0][count])) count += 1;
    return words[0].slice(0, count).join("").length;
  }

  function xAxis({ versions }) {
    if (!versions) {
      return { values: (plot, at, axis, space, step) => beambench.timeTicks(at, step), space: 64, size: 42 };
    }
    const splits = versions.map((_, number) => number);
    return { splits: () => splits, values: () => versions, grid: { show: false }, size: 28 };
  }

  function yAxis(pane) {
    return {
      size: 60,
      gap: 6,
      incrs: (plot, axis, low, high) => steps(high - low),
      splits: (plot, axis, low, high, step) => ticks(low, high, step),
      values: (plot, at, axis, space, step) => at.map((value) => tickText(value, step, pane.unitScale[0])),
    };
  }

  // uPlot draws no series of its own: its scales follow the pane, which draws on its canvas.
  function plotOptions(pane) {
    const grid = { stroke: () => beambench.colour("grid"), width: 1 };
    const base = { font: FONT, stroke: () => beambench.colour("muted"), grid, ticks: { show: false } };
    return {
      ...pane.size(),
      legend: { show: false },
      pxAlign: 0,
      padding: [10, 14, 0, 4],
      tzDate: (seconds) => uPlot.tzDate(new Date(seconds * 1000), "Etc/UTC"),
      cursor: {
        y: false,
        points: { show: false },
        drag: { x: pane.isTime, y: false, setScale: false },
        bind: { dblclick: () => null },
      },
      scales: { x: { time: pane.isTime, range: () => pane.xRange() }, y: { range: () => pane.shownY } },
      axes: [
        { ...base, ...xAxis(pane.axis) },
        { ...base, ...yAxis(pane) },
      ],
      series: [{}, { paths: () => null, points: { show: false } }],
      hooks: { draw: [(plot) => pane.draw(plot)], setSelect: [(plot) => pane.select(plot)] },
    };
  }

  Object.assign(beambench, { plotOptions, sharedWords });
})(window.beambench);
