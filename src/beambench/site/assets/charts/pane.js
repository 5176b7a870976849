// One plot: uPlot gives canvas, axes and dragging; what is measured is drawn and found by us.
(function (beambench) {
  "use strict";

  const { model, painter, element } = beambench;
  const NEAR_PX = 28;
  const CLICK_MS = 220;

  class Pane {
    constructor(page, spec) {
      this.page = page;
      this.spec = spec;
      this.isTime = spec.chart.x !== "sdk";
      this.axis = this.isTime ? page.timeAxis : page.sdkAxis;
      this.isOfMetrics = spec.metrics.length > 1;
      this.drawn = [];
      this.focused = null;
      this.title = element("p", { className: "pane-title" });
      this.host = element("div", {
        className: "pane",
        tabIndex: 0,
        aria: { role: "application", roledescription: "chart", label: this.label() },
      });
      this.root = element("div", { className: "pane-frame" }, this.title, this.host);
      this.crosshair = element("div", { className: "crosshair", hidden: true });
      this.lines = this.makeLines();
      this.setTitle(this.yRange());
      this.listen();
    }

    label() {
      const metrics = this.spec.metrics.map((name) => this.page.data.metrics[name].title).join(", ");
      const titles = this.spec.only ? `${this.spec.only.label}: ${metrics}` : metrics;
      const axis = this.isTime ? "by date" : "by version of the SDK";
      const keys =
        "Left and right go from run to run, up and down to another series, Enter opens the run, P pins it.";
      return `${titles} ${axis}. ${keys}`;
    }

    makeLines() {
      const { only, metrics } = this.spec;
      return this.page.data.series
        .flatMap((series, seriesNumber) =>
          metrics.map((metric, metricNumber) => ({ series, seriesNumber, metric, metricNumber })),
        )
        .filter(({ series }) => !only || series === only)
        .map((line) => this.withPoints(line))
        .filter((line) => line.points.length);
    }

    withPoints(line) {
      const { series, metric } = line;
      const points = model.points(series, metric, this.axis.place);
      for (const point of points) point.line = line;
      return Object.assign(line, {
        points,
        levels: model.levels(series, metric, points),
        byIndex: new Map(points.map((point) => [point.index, point])),
        eventful: model.eventful(series, metric),
        isStrip: !this.isTime,
      });
    }

    // The colour says what differs: the series, or of one series the metric.
    visibleLines() {
      const visible = this.lines.filter((line) => !this.page.state.off.has(line.series.id));
      for (const line of visible) {
        line.number = this.isOfMetrics ? line.metricNumber : line.seriesNumber;
        line.colour = beambench.seriesColour(line.number);
      }
      return visible;
    }

    xRange() {
      return (this.isTime && this.page.state.range) || this.axis.range;
    }

    yRange() {
      const [from, to] = this.xRange();
      let low = Infinity;
      let high = -Infinity;
      for (const line of this.siblings.flatMap((pane) => pane.visibleLines())) {
        for (const point of line.points) {
          if (point.x < from || point.x > to) continue;
          low = Math.min(low, point.low === null ? point.y : Math.min(point.y, point.low));
          high = Math.max(high, point.high === null ? point.y : Math.max(point.y, point.high));
        }
      }
      if (low > high) return [0, 1];
      if (this.page.state.zero) [low, high] = [Math.min(low, 0), Math.max(high, 0)];
      const margin = high / 2 - low / 2 || Math.abs(high) / 2 || 0.5;
      const floor = this.page.state.zero && low === 0 ? 0 : low - margin * 0.16;
      return [
        Number.isFinite(floor) ? floor : low,
        Number.isFinite(high + margin * 0.3) ? high + margin * 0.3 : high,
      ];
    }

    setTitle([low, high]) {
      const [, unit] = (this.unitScale = beambench.scale(
        this.spec.unit,
        Math.max(Math.abs(low), Math.abs(high)),
      ));
      const titles = this.spec.metrics.map((name) => this.page.data.metrics[name].title);
      const better = new Set(this.spec.metrics.map((name) => this.page.data.metrics[name].direction));
      const direction = better.size === 1 && !better.has("neither") ? `${[...better][0]} is better` : "";
      const keys = this.isOfMetrics ? this.metricKeys(titles) : [element("span", { textContent: titles[0] })];
      const tail = [unit && `in ${unit}`, direction].filter(Boolean).join(", ");
      this.title.replaceChildren(...keys, element("span", { className: "pane-unit", textContent: tail }));
    }

    metricKeys(titles) {
      const shared = beambench.sharedWords(titles);
      const keys = titles.map((title, number) =>
        element(
          "span",
          { className: "pane-key", title },
          beambench.key({ number, shape: beambench.seriesShape(number) }),
          title.slice(shared),
        ),
      );
      const { only } = this.spec;
      return only
        ? [element("strong", { className: "pane-series", textContent: only.label }), ...keys]
        : keys;
    }

    create() {
      if (this.plot) return;
      this.plot = new uPlot(beambench.plotOptions(this), [this.axis.range, [0, 1]], this.host);
      this.plot.over.append(this.crosshair);
      this.plot.over.addEventListener("mousemove", (event) => this.hover(event));
      this.plot.over.addEventListener("mousedown", () => {
        this.dragged = false;
      });
      this.plot.over.addEventListener("mouseleave", () => this.page.leave(false));
      this.plot.over.addEventListener("click", (event) => this.click(event));
      this.plot.over.addEventListener("dblclick", () => this.page.zoom(null));
      new ResizeObserver(() => this.resize()).observe(this.host);
      this.update();
    }

    size() {
      return { width: Math.max(this.host.clientWidth, 120), height: Math.max(this.host.clientHeight, 80) };
    }

    resize() {
      if (!this.host.clientWidth) return;
      const size = this.size();
      if (size.width !== this.plot.width || size.height !== this.plot.height) this.plot.setSize(size);
    }

    // Panes of the same metrics have the same scale, so that their series can be compared.
    get siblings() {
      return this.figure ? this.figure.panes.filter((pane) => pane.spec.unit === this.spec.unit) : [this];
    }

    // What is not shown is drawn when it is.
    update() {
      this.root.hidden = Boolean(this.spec.only) && this.page.state.off.has(this.spec.only.id);
      this.isStale = this.host.offsetParent === null;
      if (!this.plot || this.isStale) return;
      this.resize();
      this.shownY = this.yRange();
      this.setTitle(this.shownY);
      const [from, to] = this.xRange();
      this.plot.batch(() => {
        this.plot.setScale("x", { min: from, max: to });
        this.plot.setScale("y", { min: this.shownY[0], max: this.shownY[1] });
        this.plot.redraw(false, true);
      });
    }

    draw(plot) {
      const [from, to] = this.xRange();
      const visible = this.visibleLines();
      const isDetailed = !this.page.state.plain;
      this.drawn = [];
      painter.clipped(plot, (at) => {
        if (isDetailed && this.isTime) visible.forEach((line) => painter.noiseBand(at, line));
        if (this.isTime)
          new Set(visible.map((line) => line.series)).forEach((series) =>
            painter.marks(at, series, this.axis.place),
          );
        const labels = [];
        for (const line of visible) {
          const within = line.points.filter((point) => point.x >= from && point.x <= to);
          const points = beambench.reduce(
            within,
            (x) => plot.valToPos(x, "x"),
            plot.over.clientWidth,
            (point) => this.isKept(point),
          );
          if (isDetailed && this.isTime) painter.intervals(at, line, points);
          if (this.isTime) painter.lines(at, line, points);
          painter.dots(at, line, points);
          if (!this.isTime) painter.medians(at, line);
          for (const point of points)
            this.drawn.push({ point, left: plot.valToPos(point.x, "x"), top: plot.valToPos(point.y, "y") });
        }
        for (const line of visible) {
          if (this.isTime) painter.changePoints(at, line, labels);
          if (this.isTime) painter.alarms(at, line);
        }
        for (const label of labels) painter.label(at, label);
        this.drawPins(at, visible);
      });
      this.publish(from, to);
    }

    drawPins(at, visible) {
      const colour = beambench.colour("accent");
      for (const run of this.page.state.pins) {
        for (const line of visible) {
          const point = line.byIndex.get(line.series.runs.indexOf(run));
          if (!point) continue;
          painter.ring(at, point, colour, 6);
          if (this.isTime) painter.vertical(at, at.x(point.x), colour, [1, 3], 1);
        }
      }
    }

    isKept(point) {
      const { series, index, line } = point;
      return line.eventful.has(index) || this.page.state.pins.includes(series.runs[index]);
    }

    // What is on the canvas, for those who cannot look at it.
    publish(from, to) {
      const changes = this.drawn
        .filter(
          ({ point }) =>
            this.isTime &&
            model.changes(point.series, point.metric).some((change) => change.index === point.index),
        )
        .map(({ point, left, top }) => ({
          series: point.series.id,
          metric: point.metric,
          index: point.index,
          run: point.series.runs[point.index],
          left: Math.round(left),
          top: Math.round(top),
        }));
      Object.assign(this.host.dataset, {
        from: String(from),
        to: String(to),
        points: String(this.drawn.length),
        total: String(this.lines.reduce((sum, line) => sum + line.points.length, 0)),
        changes: JSON.stringify(changes),
        pieces: JSON.stringify(
          Object.fromEntries(
            this.visibleLines().map((line) => [
              line.series.id,
              new Set(line.points.map((point) => point.piece)).size,
            ]),
          ),
        ),
      });
    }

    select(plot) {
      const { left, width } = plot.select;
      if (width < 5) return;
      plot.setSelect({ left: 0, width: 0, top: 0, height: 0 }, false);
      this.dragged = true;
      this.page.zoom([plot.posToVal(left, "x"), plot.posToVal(left + width, "x")]);
    }

    nearest(left, top) {
      let best = null;
      let shortest = NEAR_PX ** 2;
      for (const one of this.drawn) {
        const distance = (one.left - left) ** 2 + (one.top - top) ** 2;
        if (distance < shortest) [best, shortest] = [one, distance];
      }
      return best;
    }

    hover(event) {
      const box = this.plot.over.getBoundingClientRect();
      const near = this.nearest(event.clientX - box.left, event.clientY - box.top);
      if (near) this.page.point(this, near, false);
      else this.page.leave(false);
    }

    // A click opens the run; a second one soon after is a double click, which resets the zoom.
    // A finger sees the card first.
    click(event) {
      if (this.dragged) {
        this.dragged = false;
        return;
      }
      clearTimeout(this.opening);
      if (event.detail > 1) return;
      const box = this.plot.over.getBoundingClientRect();
      const near = this.nearest(event.clientX - box.left, event.clientY - box.top);
      if (!near) {
        this.page.leave(true);
        return;
      }
      if (event.shiftKey) this.page.pin(near.point);
      else if (event.pointerType === "touch") this.page.point(this, near, true);
      else this.opening = setTimeout(() => this.page.open(near.point), CLICK_MS);
      this.plot.over.addEventListener("dblclick", () => clearTimeout(this.opening), { once: true });
    }

    // A run that the keyboard has come to.
    show(point) {
      this.create();
      this.focused = point;
      const place = { point, left: this.plot.valToPos(point.x, "x"), top: this.plot.valToPos(point.y, "y") };
      this.page.point(this, place, true);
    }

    listen() {
      this.host.addEventListener("keydown", (event) => beambench.keyboard(this, event));
      this.host.addEventListener("blur", (event) => {
        if (!this.page.card.root.contains(event.relatedTarget)) this.page.leave(true);
      });
    }
  }

  beambench.Pane = Pane;
})(window.beambench);
