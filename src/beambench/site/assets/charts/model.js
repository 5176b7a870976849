// The data of a benchmark as what charts draw: points, levels, changes, alarms and marks.
(function (beambench) {
  "use strict";

  const SLOT = 0.72;

  // The points of a metric of a series on a chart, in the order of x. `piece` changes where a line must not go on:
  // at another machine, definition or input, and where a run has no value.
  function points(series, metric, place) {
    const values = series.values[metric];
    if (!values) return [];
    const low = (series.low || {})[metric];
    const high = (series.high || {})[metric];
    const made = [];
    let piece = 0;
    values.forEach((value, index) => {
      const isNewGroup = index > 0 && series.group[index] !== series.group[index - 1];
      if (isNewGroup || value === null) piece += 1;
      if (value === null || !Number.isFinite(value)) return;
      const x = place(series, index);
      made.push({
        series,
        metric,
        index,
        x,
        y: value,
        piece,
        low: low && low[index] !== null ? low[index] : null,
        high: high && high[index] !== null ? high[index] : null,
      });
    });
    return made.sort((a, b) => a.x - b.x);
  }

  // The levels of a metric: stretches between change points within a group, each with its median and noise.
  function levels(series, metric, all) {
    const starts = new Set(changes(series, metric).map((change) => change.index));
    const noise = (series.noise || {})[metric];
    const made = [];
    let current = null;
    for (const point of [...all].sort((a, b) => a.index - b.index)) {
      const group = series.group[point.index];
      if (current === null || starts.has(point.index) || group !== current.group) {
        current = { group, points: [], noise: typeof noise === "number" ? noise : null };
        made.push(current);
      }
      current.points.push(point);
    }
    for (const level of made) {
      const calm = level.points.filter((point) => !series.disturbed[point.index]);
      level.centre = beambench.median((calm.length ? calm : level.points).map((point) => point.y));
      level.from = level.points[0].x;
      level.to = level.points[level.points.length - 1].x;
      for (const point of level.points) point.level = level;
    }
    return made;
  }

  const changes = (series, metric) => (series.levels || {})[metric] || [];
  const alarms = (series, metric) => (series.alarms || {})[metric] || [];

  // Indices of the runs at which something happened that is explained.
  function eventful(series, metric) {
    const events = [...changes(series, metric), ...alarms(series, metric), ...(series.marks || [])];
    return new Set(events.map((event) => event.index));
  }

  // Noise is a standard deviation as a fraction; 95 of 100 values of an unchanged level lie within two.
  function noiseBounds(level) {
    if (level.noise === null) return null;
    const half = Math.abs(level.centre) * 2 * level.noise;
    return [level.centre - half, level.centre + half];
  }

  function isWithinNoise(point) {
    const bounds = point.level && noiseBounds(point.level);
    return Boolean(bounds) && point.y >= bounds[0] && point.y <= bounds[1];
  }

  // Where a run stands on the axis of SDK versions: in the slot of its version, series beside each other.
  function sdkAxis(data) {
    const names = new Set(data.series.flatMap((series) => series.sdk.filter((name) => name !== null)));
    const versions = [...names].sort(beambench.compareVersions);
    const numbers = new Map(versions.map((name, number) => [name, number]));
    const places = new Map();
    data.series.forEach((series, number) => {
      const counts = new Map();
      series.sdk.forEach((name) => counts.set(name, (counts.get(name) || 0) + 1));
      const seen = new Map();
      const width = SLOT / data.series.length;
      places.set(
        series,
        series.sdk.map((name) => {
          const rank = seen.get(name) || 0;
          seen.set(name, rank + 1);
          const within = (rank + 0.5) / counts.get(name);
          return numbers.get(name) - SLOT / 2 + width * (number + 0.1 + 0.8 * within);
        }),
      );
    });
    return {
      versions,
      place: (series, index) => places.get(series)[index],
      range: [-0.5, versions.length - 0.5],
    };
  }

  function timeAxis(data) {
    let first = Infinity;
    let last = -Infinity;
    for (const series of data.series) {
      for (const time of series.time) {
        first = Math.min(first, time);
        last = Math.max(last, time);
      }
    }
    const margin = Math.max((last - first) * 0.015, 1800);
    const range = Number.isFinite(first) ? [first - margin, last + margin] : [0, 1];
    return { versions: null, place: (series, index) => series.time[index], range, ends: [first, last] };
  }

  // Metrics of one unit share a pane, of several series one for each; a chart of several units has one for each unit.
  function panes(chart, data) {
    const byUnit = new Map();
    for (const name of chart.metrics) {
      if (!data.metrics[name] || !data.series.some((series) => series.values[name])) continue;
      const unit = data.metrics[name].unit;
      if (!byUnit.has(unit)) byUnit.set(unit, []);
      byUnit.get(unit).push(name);
    }
    return [...byUnit].flatMap(([unit, metrics]) => {
      if (metrics.length === 1 || data.series.length === 1) return [{ unit, metrics, chart, only: null }];
      const having = data.series.filter((series) => metrics.some((name) => series.values[name]));
      return having.map((series) => ({ unit, metrics, chart, only: series }));
    });
  }

  // Lines that say in words what happened at a run: changes, alarms, another environment.
  function explain(point, data) {
    const { series, metric, index } = point;
    const title = data.metrics[metric].title;
    const lines = [];
    for (const change of changes(series, metric).filter((one) => one.index === index)) {
      lines.push(
        { kind: kindOf(change), text: changeText(change, title) },
        ...environmentLines(change.environment),
      );
    }
    for (const alarm of alarms(series, metric).filter((one) => one.index === index)) {
      lines.push({ kind: "alarm", text: `Alarm (${alarm.state}): ${alarm.summary}` });
    }
    for (const mark of (series.marks || []).filter((one) => one.index === index)) {
      lines.push(...environmentLines(mark.lines));
    }
    return lines.filter((line, at) => lines.findIndex((other) => other.text === line.text) === at);
  }

  const environmentLines = (lines) =>
    (lines || []).map((text) => ({ kind: "mark", text: `Environment: ${text}` }));

  function kindOf(change) {
    if (change.better === null || change.better === undefined) return "neutral";
    return change.better ? "better" : "worse";
  }

  const HIGH_CONFIDENCE = 0.999;

  function confidenceText(confidence) {
    if (typeof confidence !== "number") return "";
    const isHigh = confidence > HIGH_CONFIDENCE;
    return `, confidence ${isHigh ? `above ${HIGH_CONFIDENCE}` : beambench.digits(confidence)}`;
  }

  function changeText(change, title) {
    const word = { better: "better", worse: "worse", neutral: "changed" }[kindOf(change)];
    const isKnown = typeof change.ratio_low === "number" && typeof change.ratio_high === "number";
    const ends = [change.ratio_low, change.ratio_high].map(beambench.change);
    const interval = isKnown ? ` (95 %: ${ends.join(" to ")})` : "";
    const name = change.kind === "drift" ? "Change point, a drift" : "Change point";
    return `${name}: ${title} ${beambench.change(change.ratio)}${interval}, ${word}${confidenceText(change.confidence)}`;
  }

  beambench.model = {
    points,
    levels,
    changes,
    alarms,
    noiseBounds,
    isWithinNoise,
    sdkAxis,
    timeAxis,
    panes,
    explain,
    eventful,
    kindOf,
  };
})(window.beambench);
