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
      const heading = element("h3", { id, textContent: this.chart.title });
      const root = element("figure", { className: this.panes.length > 1 ? "figure figure-wide" : "figure", tabIndex: -1, data: { chart: this.chart.id, section: this.chart.section }, aria: { labelledby: id } },
        element("div", { className: "figure-head" }, heading, beambench.downloads(this)),
        element("div", { className: "panes" }, ...this.panes.map((pane) => pane.root)), this.readouts(), this.events());
      this.searched = [this.chart.title, this.chart.section, ...this.chart.metrics, ...this.chart.metrics.map((name) => this.data.metrics[name]?.title)].join(" ").toLowerCase();
      return root;
    }

    // Newest values and noise of what is drawn: for the eye beside the chart, and for a screen reader in its place.
    readouts() {
      const body = element("tbody", {});
      for (const pane of this.panes) for (const line of pane.lines) body.append(this.readout(line));
      const head = element("tr", {}, ...["Series", "Newest", "Noise", "Runs"].map((text, at) => element("th", { scope: "col", textContent: text, className: at ? "num" : "" })));
      const table = element("table", { className: "readouts" },
        element("caption", { className: "visually-hidden", textContent: `${this.chart.title}: newest values` }), element("thead", {}, head), body);
      return element("div", { className: "readouts-scroll", tabIndex: 0, aria: { role: "region", label: `${this.chart.title}: newest values` } }, table);
    }

    readout(line) {
      const { series, metric, seriesNumber } = line;
      const isMany = this.chart.metrics.length > 1;
      const name = [this.data.series.length > 1 ? series.label : null, isMany || this.data.series.length === 1 ? this.data.metrics[metric].title : null];
      const heading = element("th", { scope: "row" }, beambench.key({ number: seriesNumber, shape: seriesNumber % 4 }), name.filter(Boolean).join(": "));
      return element("tr", { data: { series: series.id } }, heading,
        element("td", { className: "num" }, beambench.newestValue(this.data, series, metric)),
        element("td", { className: "num within-noise", textContent: beambench.noiseText(series, metric) }),
        element("td", { className: "num", textContent: String(line.points.length) }));
    }

    // Every change point, alarm and change of the environment in words, newest first.
    events() {
      const found = this.panes.flatMap((pane) => (pane.isTime ? pane.lines : [])
        .flatMap((line) => line.points.map((point) => ({ pane, point, lines: model.explain(point, this.data) }))))
        .filter(({ lines }) => lines.length)
        .sort((a, b) => b.point.series.time[b.point.index] - a.point.series.time[a.point.index]);
      const counts = { change: 0, alarm: 0, mark: 0 };
      for (const { point } of found) {
        counts.change += model.changes(point.series, point.metric).filter((one) => one.index === point.index).length;
        counts.alarm += model.alarms(point.series, point.metric).filter((one) => one.index === point.index).length;
        counts.mark += (point.series.marks || []).filter((one) => one.index === point.index).length;
      }
      const title = found.length ? `${plural(counts.change, "change point")}, ${plural(counts.alarm, "alarm")}, ${plural(counts.mark, "change")} of the environment` : "No change points";
      const list = element("ul", {}, ...found.map((one) => this.event(one)));
      if (!found.length) return element("p", { className: "events-none", textContent: title });
      return element("details", { className: "events" }, element("summary", { textContent: title }), list);
    }

    event({ pane, point, lines }) {
      const date = element("button", { type: "button", className: "quiet", textContent: beambench.day(point.series.time[point.index]) });
      date.addEventListener("click", () => {
        pane.host.focus();
        pane.show(point);
      });
      const label = this.data.series.length > 1 ? element("span", { className: "within-noise", textContent: point.series.label }) : null;
      return element("li", {}, date, label, ...lines.map((line) => element("p", { className: `line-${line.kind}`, textContent: line.text })));
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
