// The runs that someone pinned, side by side, and how far each is from the first.
(function (beambench) {
  "use strict";

  const { element } = beambench;

  function find(data, run) {
    for (const series of data.series) {
      const index = series.runs.indexOf(run);
      if (index >= 0) return { series, index };
    }
    return null;
  }

  // A ratio within what noise makes of two runs of one series is grey.
  function difference(first, second, metric) {
    const before = first.series.values[metric]?.[first.index];
    const after = second.series.values[metric]?.[second.index];
    if (first === second || typeof before !== "number" || typeof after !== "number" || before === 0)
      return null;
    const noise = (second.series.noise || {})[metric];
    const isNoise =
      first.series === second.series &&
      typeof noise === "number" &&
      Math.abs(after / before - 1) <= 2 * Math.SQRT2 * noise;
    const text = `${beambench.change(after / before)}${isNoise ? " (within noise)" : ""}`;
    return element("small", { className: isNoise ? "within-noise" : "", textContent: text });
  }

  function row(page, found, first, metrics) {
    const { data } = page;
    const { series, index } = found;
    const number = data.series.indexOf(series);
    const remove = element("button", {
      type: "button",
      className: "quiet",
      textContent: "Unpin",
      aria: { label: `Unpin the run of ${beambench.time(series.time[index])}` },
    });
    remove.addEventListener("click", () => page.pin({ series, index }));
    const link = element("a", {
      href: beambench.runAddress(series, index),
      textContent: beambench.time(series.time[index]),
    });
    const values = metrics.map((metric) => {
      const value = series.values[metric]?.[index];
      return element(
        "td",
        { className: "num" },
        beambench.show(value, data.metrics[metric].unit),
        difference(first, found, metric),
      );
    });
    return element(
      "tr",
      { data: { run: series.runs[index] } },
      element(
        "th",
        { scope: "row" },
        link,
        element("small", {}, beambench.key({ number, shape: beambench.seriesShape(number) }), series.label),
      ),
      element("td", { textContent: beambench.shortCommit(series.commit[index]) }),
      element("td", { textContent: series.sdk[index] || "unknown" }),
      ...values,
      element(
        "td",
        {},
        element("code", { textContent: beambench.command(data, series, index) || "unknown" }),
      ),
      element("td", {}, remove),
    );
  }

  function pins(page) {
    const found = page.state.pins.map((run) => find(page.data, run)).filter(Boolean);
    if (!found.length) return [];
    const metrics = beambench.headlines(page.data);
    const head = element(
      "tr",
      {},
      ...["Run", "Commit", "SDK"].map((text) => element("th", { scope: "col", textContent: text })),
      ...metrics.map((name) =>
        element("th", { scope: "col", className: "num", textContent: page.data.metrics[name].title }),
      ),
      element("th", { scope: "col", textContent: "Command" }),
      element(
        "th",
        { scope: "col" },
        element("span", { className: "visually-hidden", textContent: "Action" }),
      ),
    );
    const body = element("tbody", {}, ...found.map((one) => row(page, one, found[0], metrics)));
    const caption = element("caption", {
      textContent:
        found.length > 1
          ? "Pinned runs, each against the first"
          : "Pinned run; pin another to compare the two",
    });
    const table = element("table", { className: "data pins" }, caption, element("thead", {}, head), body);
    return [
      element(
        "div",
        { className: "table-scroll", tabIndex: 0, aria: { role: "region", label: "Pinned runs" } },
        table,
      ),
    ];
  }

  beambench.pins = pins;
  beambench.findRun = find;
})(window.beambench);
