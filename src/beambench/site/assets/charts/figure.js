// A chart with all that stands around it: heading, panes, values and noise, what changed, downloads.
(function (beambench) {
  "use strict";

  const { element, model } = beambench;

  class Figure {
    constructor(page, chart) {
      this.page = page;
      this.data = page.data;
      this.chart = chart;
      this.panes = model.panes(chart, page.data).map((spec) => new beambench.Pane(page, spec));
      this.root = this.panes.length ? this.build() : null;
    }

    build() {
      const id = `chart-${this.chart.id}`;
      for (const pane of this.panes) pane.figure = this;
      const heading = element("h2", { id, textContent: this.chart.title });
      const titles = this.chart.metrics.map((name) => this.data.metrics[name]?.title);
      this.searched = [this.chart.title, this.chart.section, ...this.chart.metrics, ...titles]
        .join(" ")
        .toLowerCase();
      const head = element(
        "div",
        { className: "figure-head" },
        element(
          "div",
          {},
          element("p", { className: "figure-section", textContent: this.chart.section }),
          heading,
        ),
        this.buttons(),
      );
      return element(
        "figure",
        {
          className: this.panes.length > 1 ? "figure figure-wide" : "figure",
          tabIndex: -1,
          data: { chart: this.chart.id, section: this.chart.section },
          aria: { labelledby: id },
        },
        head,
        element("div", { className: "panes" }, ...this.panes.map((pane) => pane.root)),
        this.readouts(),
        this.events(),
      );
    }

    buttons() {
      this.enlarge = element("button", {
        type: "button",
        className: "quiet",
        data: { enlarge: this.chart.id },
      });
      this.enlarge.addEventListener("click", () => this.page.enlarge(this));
      return element("div", { className: "figure-buttons" }, this.enlarge, ...beambench.downloads(this));
    }

    // Newest values and noise of what is drawn: for the eye beside the chart, and for a screen reader in its place.
    readouts() {
      const body = element("tbody", {});
      for (const pane of this.panes) for (const line of pane.lines) body.append(this.readout(line));
      const head = element(
        "tr",
        {},
        ...["Series", "Newest", "Noise", "Runs"].map((text, at) =>
          element("th", { scope: "col", textContent: text, className: at ? "num" : "" }),
        ),
      );
      const table = element(
        "table",
        { className: "readouts" },
        element("caption", {
          className: "visually-hidden",
          textContent: `${this.chart.title}: newest values`,
        }),
        element("thead", {}, head),
        body,
      );
      return element(
        "div",
        {
          className: "readouts-scroll",
          tabIndex: 0,
          aria: { role: "region", label: `${this.chart.title}: newest values` },
        },
        table,
      );
    }

    readout(line) {
      const { series, metric } = line;
      const number = this.isOfMetrics(line) ? line.metricNumber : line.seriesNumber;
      const parts = [this.data.metrics[metric].title];
      if (this.data.series.length > 1) parts[this.chart.metrics.length > 1 ? 1 : 0] = series.label;
      const heading = element(
        "th",
        { scope: "row" },
        beambench.key({ number, shape: beambench.seriesShape(number) }),
        parts.join(" · "),
      );
      return element(
        "tr",
        { data: { series: series.id } },
        heading,
        element("td", { className: "num" }, beambench.newestValue(this.data, series, metric)),
        element("td", { className: "num within-noise", textContent: beambench.noiseText(series, metric) }),
        element("td", { className: "num", textContent: String(line.points.length) }),
      );
    }

    // Where panes are of one series each, colours are those of the metrics.
    isOfMetrics(line) {
      return this.panes.find((pane) => pane.lines.includes(line)).isOfMetrics;
    }

    // Every change point, alarm and change of the environment in words, newest first; of a run once.
    events() {
      if (!this.panes.some((pane) => pane.isTime)) return null;
      const byRun = new Map();
      for (const pane of this.panes.filter((one) => one.isTime)) {
        for (const line of pane.lines) {
          for (const index of model.eventful(line.series, line.metric)) {
            if (line.byIndex.has(index)) this.collect(byRun, pane, line.byIndex.get(index));
          }
        }
      }
      const found = [...byRun.values()].sort(
        (a, b) => b.point.series.time[b.point.index] - a.point.series.time[a.point.index],
      );
      if (!found.length) return element("p", { className: "events-none", textContent: "No change points" });
      const count = (kinds) =>
        found.reduce((sum, one) => sum + one.lines.filter((line) => kinds.includes(line.kind)).length, 0);
      const runs = found.filter((one) => one.lines.some((line) => line.kind === "mark")).length;
      const title = [
        plural(count(["better", "worse", "neutral"]), "change point"),
        plural(count(["alarm"]), "alarm"),
        `environment changed ${plural(runs, "time")}`,
      ].join(", ");
      return element(
        "details",
        { className: "events" },
        element("summary", { textContent: title }),
        element("ul", {}, ...found.map((one) => this.event(one))),
      );
    }

    collect(byRun, pane, point) {
      const lines = model.explain(point, this.data);
      if (!lines.length) return;
      const run = `${point.series.id} ${point.index}`;
      const known = byRun.get(run);
      if (!known) byRun.set(run, { pane, point, lines });
      else
        known.lines.push(...lines.filter((line) => !known.lines.some((other) => other.text === line.text)));
    }

    event({ pane, point, lines }) {
      const date = element("button", {
        type: "button",
        className: "quiet",
        textContent: beambench.day(point.series.time[point.index]),
      });
      date.addEventListener("click", () => {
        pane.host.focus();
        pane.show(point);
      });
      const label =
        this.data.series.length > 1
          ? element("span", { className: "within-noise", textContent: point.series.label })
          : null;
      return element(
        "li",
        {},
        date,
        label,
        ...lines.map((line) => element("p", { className: `line-${line.kind}`, textContent: line.text })),
      );
    }

    setLarge(isLarge) {
      this.root.classList.toggle("figure-large", isLarge);
      this.enlarge.textContent = isLarge ? "All charts" : "Enlarge";
      this.enlarge.setAttribute("aria-label", isLarge ? "Show all charts" : `Enlarge ${this.chart.title}`);
    }

    update() {
      for (const row of this.root.querySelectorAll(".readouts tr[data-series]")) {
        row.classList.toggle("is-off", this.page.state.off.has(row.dataset.series));
      }
      for (const pane of this.panes) pane.update();
    }
  }

  const plural = (count, noun) => `${count} ${noun}${count === 1 ? "" : "s"}`;

  beambench.Figure = Figure;
})(window.beambench);
