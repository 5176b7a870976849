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

  // The panes under each other, under a heading and the names of the series.
  function png(figure) {
    const panes = figure.panes;
    panes.forEach((pane) => pane.create());
    const ratio = devicePixelRatio || 1;
    const width = Math.max(...panes.map((pane) => pane.plot.ctx.canvas.width)) + 2 * PICTURE_MARGIN * ratio;
    const series = [...new Set(panes.flatMap((pane) => pane.visibleLines().map((line) => line.series)))];
    const titleHeight = (30 + 17 * series.length) * ratio;
    const heights = panes.map((pane) => pane.plot.ctx.canvas.height + 22 * ratio);
    const canvas = element("canvas", {
      width,
      height: titleHeight + heights.reduce((a, b) => a + b, 2 * PICTURE_MARGIN * ratio),
    });
    const ctx = canvas.getContext("2d");
    ctx.fillStyle = beambench.colour("surface");
    ctx.fillRect(0, 0, canvas.width, canvas.height);
    ctx.scale(ratio, ratio);
    pictureHead(ctx, figure, series);
    ctx.setTransform(1, 0, 0, 1, 0, 0);
    let top = titleHeight + PICTURE_MARGIN * ratio;
    panes.forEach((pane, at) => {
      ctx.font = `${12 * ratio}px system-ui, sans-serif`;
      ctx.fillStyle = beambench.colour("muted");
      ctx.fillText(pane.title.textContent, PICTURE_MARGIN * ratio, top + 12 * ratio);
      ctx.drawImage(pane.plot.ctx.canvas, PICTURE_MARGIN * ratio, top + 20 * ratio);
      top += heights[at];
    });
    return new Promise((resolve) => canvas.toBlob(resolve, "image/png"));
  }

  function pictureHead(ctx, figure, series) {
    ctx.fillStyle = beambench.colour("text");
    ctx.font = "600 15px system-ui, sans-serif";
    const demo = figure.data.demo ? " (demo: made-up runs)" : "";
    ctx.fillText(
      beambench.printable(`${figure.data.benchmark}: ${figure.chart.title}${demo}`),
      PICTURE_MARGIN,
      PICTURE_MARGIN + 14,
    );
    ctx.font = "12px system-ui, sans-serif";
    series.forEach((one, at) => {
      const y = PICTURE_MARGIN + 34 + 17 * at;
      const number = figure.data.series.indexOf(one);
      ctx.fillStyle = beambench.seriesColour(number);
      ctx.beginPath();
      beambench.painter.shape(ctx, beambench.seriesShape(number), PICTURE_MARGIN + 5, y - 4, 4);
      ctx.fill();
      ctx.fillStyle = beambench.colour("muted");
      ctx.fillText(beambench.printable(one.label), PICTURE_MARGIN + 16, y);
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
