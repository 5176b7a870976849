// The charts of a benchmark's page, and what is chosen for all of them. Its data calls `beambench.benchmark`.
(function (beambench) {
  "use strict";

  const { element, state, model } = beambench;
  const DAY_S = 86400;
  const RANGES = [
    ["All", null],
    ["1 year", 365],
    ["90 days", 90],
    ["30 days", 30],
  ];
  const NEAR_SCREEN = "400px";
  const HELP = [
    "Drag to zoom, double click to reset.",
    "A click opens a run, Shift and click pins it; by keyboard: arrows, Enter, P, + and −.",
    "Grey band and grey points: within noise, two standard deviations about the median of a level.",
    "Upright line: change point. !: alarm. ▲: the environment changed. Hollow point: disturbed.",
    "A line ends where machine, definition or input changed.",
  ].join(" ");

  class BenchmarkPage {
    constructor(data, root) {
      this.data = data;
      this.root = root;
      this.state = state.read();
      this.timeAxis = model.timeAxis(data);
      this.sdkAxis = model.sdkAxis(data);
      this.card = new beambench.Card();
      this.figures = data.charts
        .map((chart) => new beambench.Figure(this, chart))
        .filter((figure) => figure.root);
      this.pinned = element("div", { className: "pinned" });
      this.empty = element("p", {
        className: "note",
        hidden: true,
        textContent: "No chart has these words in its name.",
      });
      const figures = element("div", { className: "figures" }, ...this.figures.map((figure) => figure.root));
      root.replaceChildren(
        beambench.legend(this),
        this.tools(),
        element("p", { className: "note", textContent: HELP }),
        this.pinned,
        figures,
        this.empty,
      );
      this.watchScreen();
      this.update();
      window.addEventListener("hashchange", () => this.restore());
      matchMedia("(prefers-color-scheme: dark)").addEventListener("change", () => this.update());
      root.dataset.ready = "true";
    }

    tools() {
      const input = element("input", {
        type: "search",
        value: this.state.filter,
        placeholder: "Filter charts",
        aria: { label: "Filter charts by metric" },
      });
      input.addEventListener("input", () => this.filter(input.value));
      this.input = input;
      this.ranges = RANGES.map(([text, days]) => this.rangeButton(text, days));
      this.switches = [
        this.switchButton("From zero", "zero"),
        this.switchButton("Without intervals and noise", "plain"),
      ];
      const copy = element("button", { type: "button", textContent: "Copy link" });
      copy.addEventListener("click", () => this.copyLink(copy));
      this.shown = element("output", { className: "range-shown" });
      return element(
        "div",
        { className: "chart-tools", aria: { role: "group", label: "Charts" } },
        input,
        element("span", { className: "button-group" }, ...this.ranges),
        ...this.switches,
        copy,
        this.shown,
      );
    }

    rangeButton(text, days) {
      const button = element("button", { type: "button", textContent: text, data: { days: String(days) } });
      button.addEventListener("click", () => this.zoom(days === null ? null : this.lastDays(days)));
      return button;
    }

    lastDays(days) {
      const last = this.timeAxis.range[1];
      return [Math.round(last - days * DAY_S), Math.round(last)];
    }

    switchButton(text, name) {
      const button = element("button", { type: "button", textContent: text, data: { switch: name } });
      button.addEventListener("click", () => this.set({ [name]: !this.state[name] }));
      return button;
    }

    async copyLink(button) {
      try {
        await navigator.clipboard.writeText(location.href);
        button.textContent = "Link copied";
      } catch {
        button.textContent = "Copy it from the address bar";
      }
      setTimeout(() => {
        button.textContent = "Copy link";
      }, 2000);
    }

    // Charts are drawn when they come near the screen; their room is there from the start.
    watchScreen() {
      const observer = new IntersectionObserver(
        (entries) => {
          for (const entry of entries.filter((one) => one.isIntersecting)) {
            observer.unobserve(entry.target);
            entry.target.pane.create();
          }
        },
        { rootMargin: NEAR_SCREEN },
      );
      for (const figure of this.figures) {
        for (const pane of figure.panes) {
          pane.host.pane = pane;
          observer.observe(pane.host);
        }
      }
    }

    filter(text) {
      this.state.filter = text;
      state.write(this.state);
      this.choose();
      for (const pane of this.figures.flatMap((figure) => figure.panes)) if (pane.isStale) pane.update();
    }

    set(changes) {
      Object.assign(this.state, changes);
      state.write(this.state);
      this.update();
    }

    restore() {
      this.state = state.read();
      this.input.value = this.state.filter;
      this.update();
    }

    // One chart alone and large, or again all of them.
    enlarge(figure) {
      this.set({ chart: this.state.chart === figure.chart.id ? null : figure.chart.id });
      figure.root.scrollIntoView({ block: "start" });
    }

    toggle(id, isOn) {
      const off = new Set(this.state.off);
      if (isOn) off.delete(id);
      else off.add(id);
      this.set({ off });
    }

    // Only one series; asked again, all of them.
    only(id) {
      const others = this.data.series.map((series) => series.id).filter((other) => other !== id);
      const isAlready = others.every((other) => this.state.off.has(other)) && !this.state.off.has(id);
      this.set({ off: new Set(isAlready ? [] : others) });
    }

    zoom(range) {
      this.set({ range });
    }

    pin({ series, index }) {
      const run = series.runs[index];
      const { pins } = this.state;
      this.set({ pins: pins.includes(run) ? pins.filter((other) => other !== run) : [...pins, run] });
    }

    open({ series, index }) {
      location.href = beambench.runAddress(series, index);
    }

    // The run under the pointer, and in the other panes the place of its date.
    point(pane, place, isInteractive) {
      this.card.show(pane, place, this.data, isInteractive);
      for (const other of this.figures.flatMap((figure) => figure.panes)) {
        if (!other.plot) continue;
        const isSameAxis = other.isTime === pane.isTime;
        other.crosshair.hidden = !isSameAxis;
        if (isSameAxis)
          other.crosshair.style.transform = `translateX(${other.plot.valToPos(place.point.x, "x")}px)`;
      }
    }

    // A card that a finger or the keyboard has opened stays until they leave it.
    leave(isForced) {
      if (this.card.isInteractive && !isForced) return;
      this.card.hide();
      for (const figure of this.figures) for (const pane of figure.panes) pane.crosshair.hidden = true;
    }

    // Which charts are shown. One that is named but is not here hides nothing.
    choose() {
      const large = this.figures.find((figure) => figure.chart.id === this.state.chart);
      const words = this.state.filter.toLowerCase().split(/\s+/).filter(Boolean);
      for (const figure of this.figures) {
        figure.root.hidden = large
          ? figure !== large
          : !words.every((word) => figure.searched.includes(word));
        figure.setLarge(figure === large);
      }
      this.input.disabled = Boolean(large);
      this.empty.hidden = this.figures.some((figure) => !figure.root.hidden);
    }

    update() {
      this.choose();
      this.pinned.replaceChildren(...beambench.pins(this));
      for (const box of this.root.querySelectorAll("input[data-series]"))
        box.checked = !this.state.off.has(box.dataset.series);
      for (const button of this.switches)
        button.setAttribute("aria-pressed", String(this.state[button.dataset.switch]));
      this.markRange();
      for (const figure of this.figures) figure.update();
    }

    markRange() {
      const { range } = this.state;
      for (const button of this.ranges) {
        const days = button.dataset.days;
        const isChosen =
          days === "null" ? !range : Boolean(range) && String(range) === String(this.lastDays(Number(days)));
        button.setAttribute("aria-pressed", String(isChosen));
      }
      const [from, to] = range || this.timeAxis.ends;
      this.shown.textContent = this.data.series.length
        ? `${beambench.day(from)} to ${beambench.day(to)}`
        : "";
      this.root.dataset.from = String(Math.round(from));
      this.root.dataset.to = String(Math.round(to));
    }
  }

  beambench.benchmark = function (data) {
    const root = document.querySelector("[data-charts]");
    if (root) new BenchmarkPage(beambench.unpack(data), root);
  };
})(window.beambench);
