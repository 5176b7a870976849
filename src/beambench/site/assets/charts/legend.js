// The series side by side: what each is, its newest values and noise, and whether it is drawn.
(function (beambench) {
  "use strict";

  const { element } = beambench;
  const SVG = "http://www.w3.org/2000/svg";
  const SHAPES = [
    "M8 5a3 3 0 1 0 6 0a3 3 0 1 0-6 0z",
    "M8.3 2.3h5.4v5.4h-5.4z",
    "M11 1.4l3.4 6h-6.8z",
    "M11 1l4 4l-4 4l-4-4z",
  ];
  const PREFERRED = ["throughput_elements", "throughput_inferred", "element_latency_mean"];
  const HEADLINE_SECTIONS = ["speed", "latency", "cost"];

  // The line and shape of a series in small. The number gives the colour.
  function key({ number, shape }) {
    const svg = document.createElementNS(SVG, "svg");
    const colour = (number % beambench.PALETTE_SIZE) + 1;
    svg.setAttribute("class", `key stroke-${colour} fill-${colour}`);
    svg.setAttribute("viewBox", "0 0 22 10");
    svg.setAttribute("aria-hidden", "true");
    const line = document.createElementNS(SVG, "path");
    line.setAttribute("d", "M0 5h22");
    const mark = document.createElementNS(SVG, "path");
    mark.setAttribute("d", SHAPES[shape]);
    svg.append(line, mark);
    return svg;
  }

  function newest(series, metric) {
    const values = series.values[metric] || [];
    for (let index = values.length - 1; index >= 0; index -= 1) if (values[index] !== null) return index;
    return -1;
  }

  // The newest value with its interval, and how old it is told by its date.
  function newestValue(data, series, metric) {
    const index = newest(series, metric);
    if (index < 0) return element("span", { className: "within-noise", textContent: "unknown" });
    const { unit } = data.metrics[metric];
    const low = ((series.low || {})[metric] || [])[index];
    const high = ((series.high || {})[metric] || [])[index];
    const interval =
      typeof low === "number" && typeof high === "number" ? beambench.showInterval(low, high, unit) : null;
    return element(
      "span",
      {},
      beambench.show(series.values[metric][index], unit),
      interval && element("small", { textContent: interval }),
    );
  }

  function noiseText(series, metric) {
    const noise = (series.noise || {})[metric];
    return typeof noise === "number" ? `±${beambench.share(noise)}` : "unknown";
  }

  function headlines(data) {
    const names = Object.keys(data.metrics).filter((name) =>
      data.series.some((series) => newest(series, name) >= 0),
    );
    const ordered = [...PREFERRED.filter((name) => names.includes(name)), ...names];
    return HEADLINE_SECTIONS.map((section) =>
      ordered.find((name) => data.metrics[name].section === section),
    ).filter(Boolean);
  }

  function head(cells) {
    const row = element("tr", {});
    for (const [text, type] of cells)
      row.append(element("th", { scope: "col", textContent: text, data: { type } }));
    return element("thead", {}, row);
  }

  // On a telephone a row is a block, and each cell says what it is.
  const cell = (label, content) => element("td", { className: "num", data: { label } }, content);

  function seriesRow(page, series, number, metrics) {
    const box = element("input", {
      type: "checkbox",
      checked: !page.state.off.has(series.id),
      data: { series: series.id },
    });
    box.addEventListener("change", () => page.toggle(series.id, box.checked));
    const only = element("button", {
      type: "button",
      className: "quiet",
      textContent: "only",
      aria: { label: `Only ${series.label}` },
    });
    only.addEventListener("click", () => page.only(series.id));
    const last = series.runs.length - 1;
    const heading = element(
      "th",
      { scope: "row" },
      element(
        "label",
        { className: "series-label" },
        box,
        key({ number, shape: beambench.seriesShape(number) }),
        element("span", { textContent: series.label }),
      ),
    );
    return element(
      "tr",
      {},
      heading,
      ...metrics.map((name) => cell(page.data.metrics[name].title, newestValue(page.data, series, name))),
      cell("Noise", metrics.length ? noiseText(series, metrics[0]) : "unknown"),
      cell("Runs", String(series.runs.length)),
      cell("Newest", last >= 0 ? beambench.day(series.time[last]) : "none"),
      element("td", {}, page.data.series.length > 1 ? only : null),
    );
  }

  function legend(page) {
    const metrics = headlines(page.data);
    const titles = metrics.map((name) => [page.data.metrics[name].title, "number"]);
    const cells = [
      ["Series", "text"],
      ...titles,
      ["Noise", "number"],
      ["Runs", "number"],
      ["Newest", "number"],
      ["", "text"],
    ];
    const table = element(
      "table",
      { className: "data legend" },
      element("caption", { textContent: captionText(page.data, metrics) }),
      head(cells),
    );
    table.tHead.rows[0].lastElementChild.append(
      element("span", { className: "visually-hidden", textContent: "Choice" }),
    );
    const body = element("tbody", {});
    page.data.series.forEach((series, number) => body.append(seriesRow(page, series, number, metrics)));
    table.append(body);
    return element(
      "div",
      { className: "table-scroll legend-scroll", tabIndex: 0, aria: { role: "region", label: "Series" } },
      table,
    );
  }

  function captionText(data, metrics) {
    const noise = metrics.length
      ? ` Noise: how much ${data.metrics[metrics[0]].title} varies from run to run while nothing changes,` +
        " its coefficient of variation within levels."
      : "";
    return `Newest value of each series, with its 95 % interval where the run has one.${noise}`;
  }

  Object.assign(beambench, { key, legend, newest, newestValue, noiseText, headlines });
})(window.beambench);
