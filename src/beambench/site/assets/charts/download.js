// A chart as a file: what it shows, whole, as CSV, JSON or PNG.
(function (beambench) {
  "use strict";

  const { element } = beambench;
  const COLUMNS = [
    "series",
    "run",
    "time",
    "commit",
    "sdk_version",
    "disturbed",
    "group",
    "metric",
    "unit",
    "value",
    "low",
    "high",
    "noise",
    "command",
  ];
  const PICTURE_MARGIN = 16;
  const HEAD_HEIGHT = 56;
  const KEY_HEIGHT = 17;

  // All values of the series that are shown, in the range of time that is shown; nothing is down-sampled.
  function rows(figure) {
    const { data } = figure.page;
    return figure.panes.flatMap((pane) => {
      const [from, to] = pane.xRange();
      return pane
        .visibleLines()
        .flatMap((line) =>
          line.points
            .filter((point) => point.x >= from && point.x <= to)
            .map((point) => row(data, line, point)),
        );
    });
  }

  function row(data, { series, metric }, point) {
    const { index } = point;
    const noise = (series.noise || {})[metric];
    return {
      series: series.label,
      run: series.runs[index],
      time: beambench.iso(series.time[index]),
      commit: series.commit[index],
      sdk_version: series.sdk[index],
      disturbed: Boolean(series.disturbed[index]),
      group: series.group[index],
      metric,
      unit: data.metrics[metric].unit,
      value: point.y,
      low: point.low,
      high: point.high,
      noise: typeof noise === "number" ? noise : null,
      command: beambench.command(data, series, index),
    };
  }

  // Text that a spreadsheet would compute is quoted.
  function cell(value) {
    if (value === null || value === undefined) return "";
    if (typeof value !== "string") return String(value);
    const text = /^[=+\-@\t\r\n]/.test(value) ? `'${value}` : value;
    return `"${text.replace(/"/g, '""')}"`;
  }

  function csv(figure) {
    const lines = rows(figure).map((one) => COLUMNS.map((name) => cell(one[name])).join(","));
    return new Blob([`${COLUMNS.join(",")}\n${lines.join("\n")}\n`], { type: "text/csv" });
  }

  function json(figure) {
    const { data, chart } = figure;
    const metrics = Object.fromEntries(
      chart.metrics.filter((name) => data.metrics[name]).map((name) => [name, data.metrics[name]]),
    );
    const document = {
      benchmark: data.benchmark,
      chart: chart.title,
      demo: Boolean(data.demo),
      built_at: data.built_at,
      metrics,
      rows: rows(figure),
    };
    return new Blob([`${JSON.stringify(document, null, 1)}\n`], { type: "application/json" });
  }

  // The panes that are shown under each other, below the name of the benchmark and the chart.
  function png(figure) {
    const panes = figure.panes.filter((pane) => !pane.root.hidden);
    panes.forEach((pane) => pane.create());
    const ratio = devicePixelRatio || 1;
    const keys = panes.map(keysOf);
    const heights = panes.map(
      (pane, at) => pane.plot.height + KEY_HEIGHT * keys[at].length + 2 * PICTURE_MARGIN,
    );
    const width = Math.max(...panes.map((pane) => pane.plot.width)) + 2 * PICTURE_MARGIN;
    const height = HEAD_HEIGHT + heights.reduce((sum, one) => sum + one, 0);
    const canvas = element("canvas", { width: width * ratio, height: height * ratio });
    const ctx = canvas.getContext("2d");
    ctx.scale(ratio, ratio);
    ctx.fillStyle = beambench.colour("surface");
    ctx.fillRect(0, 0, width, height);
    pictureHead(ctx, figure);
    let top = HEAD_HEIGHT;
    panes.forEach((pane, at) => {
      drawKeys(ctx, pane, keys[at], top);
      const { canvas: drawn } = pane.plot.ctx;
      const under = top + KEY_HEIGHT * keys[at].length + PICTURE_MARGIN;
      ctx.drawImage(drawn, PICTURE_MARGIN, under, drawn.width / ratio, drawn.height / ratio);
      top += heights[at];
    });
    return new Promise((resolve) => canvas.toBlob(resolve, "image/png"));
  }

  function pictureHead(ctx, figure) {
    const demo = figure.data.demo ? " (demonstration: made-up runs)" : "";
    ctx.fillStyle = beambench.colour("text");
    ctx.font = "600 15px system-ui, sans-serif";
    ctx.fillText(beambench.printable(figure.chart.title), PICTURE_MARGIN, 28);
    ctx.fillStyle = beambench.colour("muted");
    ctx.font = "12px system-ui, sans-serif";
    ctx.fillText(beambench.printable(figure.data.benchmark + demo), PICTURE_MARGIN, 47);
  }

  // A line of text for each thing that has a colour, under one that says what the pane shows.
  function keysOf(pane) {
    const titles = pane.spec.metrics.map((name) => pane.page.data.metrics[name].title);
    const { only } = pane.spec;
    const tail = pane.title.querySelector(".pane-unit").textContent;
    const heading = pane.isOfMetrics ? (only ? only.label : "") : titles[0];
    const keys = pane.visibleLines().map((line) => ({
      number: line.number,
      text: pane.isOfMetrics ? titles[line.metricNumber] : line.series.label,
    }));
    return [{ number: null, text: [heading, tail].filter(Boolean).join(", ") }, ...keys];
  }

  function drawKeys(ctx, pane, keys, top) {
    ctx.font = "12px system-ui, sans-serif";
    keys.forEach(({ number, text }, at) => {
      const y = top + KEY_HEIGHT * (at + 1);
      const isKey = number !== null;
      if (isKey) {
        ctx.fillStyle = beambench.seriesColour(number);
        ctx.beginPath();
        beambench.painter.shape(ctx, beambench.seriesShape(number), PICTURE_MARGIN + 5, y - 4, 4);
        ctx.fill();
      }
      ctx.fillStyle = beambench.colour(isKey ? "muted" : "text");
      ctx.fillText(beambench.printable(text), PICTURE_MARGIN + (isKey ? 16 : 0), y);
    });
  }

  const KINDS = { CSV: csv, JSON: json, PNG: png };

  async function save(figure, kind) {
    const address = URL.createObjectURL(await KINDS[kind](figure));
    const name = `${figure.data.benchmark}-${figure.chart.id}`
      .replace(/[^A-Za-z0-9._-]+/g, "-")
      .slice(0, 100);
    const link = element("a", { href: address, download: `${name}.${kind.toLowerCase()}` });
    link.click();
    setTimeout(() => URL.revokeObjectURL(address), 10000);
  }

  function buttons(figure) {
    return Object.keys(KINDS).map((kind) => {
      const button = element("button", {
        type: "button",
        className: "quiet",
        textContent: kind,
        aria: { label: `Download ${figure.chart.title} as ${kind}` },
        data: { download: kind },
      });
      button.addEventListener("click", () => save(figure, kind));
      return button;
    });
  }

  beambench.downloads = buttons;
})(window.beambench);
