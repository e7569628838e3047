"use strict";

// The plots of a route: strips that share one time axis, one cursor, and the marks of weight
// changes. What they show comes as events of the page's stream: all of it, then what is new.
(() => {
  const place = document.querySelector("[data-plots]");
  const live = document.querySelector("[data-live]");
  if (!place || !live || !window.uPlot) return;

  const HEIGHT = 132;
  const AXIS = 26; // more, for the strip that has the times
  const MOST_LABELS = 6;
  // Lines of a version: values, and how thick. Of a candidate they are dashed. The latency has a
  // band between its first line and its last one.
  const SHAPES = {
    rate: { of: (one) => [[one.rate, 1.8]], unit: "" },
    errors: { of: (one) => [[one.errors, 1.8]], unit: " %" },
    latency: { of: (one) => [[one.p50, 0], [one.p95, 1.8], [one.p99, 0]], unit: " ms", read: 1, band: true },
    mix: { of: (one) => named(one).map((label) => [one.labels[label], 1.6]), unit: " %", read: 0 },
  };
  const named = (one) => Object.keys(one.labels).slice(0, MOST_LABELS);
  let data = null;
  let plots = [];

  const colour = (name) => getComputedStyle(document.documentElement).getPropertyValue(name).trim();

  const shortened = (number) => {
    if (number === 0) return "0";
    return number >= 100 ? number.toFixed(0) : number >= 10 ? number.toFixed(1) : number.toFixed(2);
  };

  const told = (number, unit) => (number == null ? "\u2013" : shortened(number) + unit);

  // A dashed line where a weight was changed; what it was changed to, on the first strip.
  const marks = (titled) => (u) => {
    const { ctx, bbox } = u;
    ctx.save();
    ctx.strokeStyle = colour("--muted");
    ctx.fillStyle = colour("--soft");
    ctx.textAlign = "left";
    ctx.textBaseline = "alphabetic";
    ctx.lineWidth = devicePixelRatio;
    ctx.setLineDash([3 * devicePixelRatio, 3 * devicePixelRatio]);
    ctx.font = `${11 * devicePixelRatio}px ${getComputedStyle(document.body).fontFamily}`;
    let taken = Infinity;
    for (const [at, text] of [...data.marks].reverse()) {
      const x = Math.round(u.valToPos(at, "x", true)) + 0.5;
      if (x < bbox.left || x > bbox.left + bbox.width) continue;
      ctx.beginPath();
      ctx.moveTo(x, bbox.top);
      ctx.lineTo(x, bbox.top + bbox.height);
      ctx.stroke();
      if (!titled) continue;
      const width = ctx.measureText(text).width;
      const right = x + 5 * devicePixelRatio + width > bbox.left + bbox.width;
      const left = right ? x - 5 * devicePixelRatio - width : x + 5 * devicePixelRatio;
      if (left + width > taken) continue; // it would be written over another one
      ctx.fillText(text, left, bbox.top + 11 * devicePixelRatio);
      taken = left - 6 * devicePixelRatio;
    }
    ctx.restore();
  };

  const read = (strip, shape) => (u) => {
    const index = u.cursor.idx ?? data.times.length - 1;
    const target = strip.querySelector("[data-read]");
    const rows = Object.entries(data.versions).map(([name, one]) => {
      const lines = shape.of(one);
      const row = document.createElement("span");
      const line = lines[Math.min(shape.read ?? 0, lines.length - 1)];
      const label = strip.dataset.plot === "mix" ? ` ${named(one)[0] ?? ""}` : strip.dataset.plot === "latency" ? " p95" : "";
      row.append(swatch(data.tones[name]), `${name} ${told(line?.[0][index], shape.unit)}${label}`);
      return row;
    });
    target.replaceChildren(...rows);
  };

  const swatch = (tone) => {
    const found = document.querySelector(`.swatch.${CSS.escape(tone)}`);
    return found ? found.cloneNode(true) : "";
  };

  const rows = (shape) => [data.times, ...Object.values(data.versions).flatMap((one) => shape.of(one).map((line) => line[0]))];

  // The names of labels, at the end of stable's lines.
  const labels = (u) => {
    const [, one] = Object.entries(data.versions)[0] ?? [];
    if (!one) return;
    const { ctx, bbox } = u;
    ctx.save();
    ctx.fillStyle = colour("--soft");
    ctx.strokeStyle = colour("--surface");
    ctx.lineWidth = 4 * devicePixelRatio;
    ctx.lineJoin = "round";
    ctx.textAlign = "right";
    ctx.textBaseline = "alphabetic";
    ctx.font = `${11 * devicePixelRatio}px ${getComputedStyle(document.body).fontFamily}`;
    let below = -Infinity;
    const ends = named(one).map((label) => [one.labels[label].at(-1), label]).filter(([value]) => value != null);
    for (const [value, label] of ends.sort((a, b) => b[0] - a[0])) {
      const y = Math.max(u.valToPos(value, "y", true) - 5 * devicePixelRatio, below + 12 * devicePixelRatio);
      ctx.strokeText(label, bbox.left + bbox.width - 4 * devicePixelRatio, y);
      ctx.fillText(label, bbox.left + bbox.width - 4 * devicePixelRatio, y);
      below = y;
    }
    ctx.restore();
  };

  const hour = new Intl.DateTimeFormat(undefined, { hour: "2-digit", minute: "2-digit", hourCycle: "h23" });

  const make = (strip, last) => {
    const shape = SHAPES[strip.dataset.plot];
    const canvas = strip.querySelector(".canvas");
    const series = [{}];
    const bands = [];
    for (const [name, one] of Object.entries(data.versions)) {
      const stroke = colour(`--${data.tones[name]}`);
      const dash = data.tones[name] === "stable" ? [] : [6, 3];
      const first = series.length;
      for (const [, width] of shape.of(one)) {
        series.push({ stroke: width ? stroke : "transparent", width, dash, points: { show: false } });
      }
      if (shape.band) bands.push({ series: [first + 2, first], fill: `${stroke}26` });
    }
    const line = { stroke: colour("--line"), width: 1 };
    const text = { stroke: colour("--muted"), font: `11px ${getComputedStyle(document.body).fontFamily}` };
    const end = () => data.times[data.times.length - 1];
    const plot = new uPlot({
      width: canvas.clientWidth,
      height: HEIGHT + (last ? AXIS : 0),
      padding: [12, 8, last ? 0 : 8, 0],
      legend: { show: false },
      cursor: { sync: { key: "route" }, drag: { x: false, y: false }, points: { size: 6 } },
      scales: {
        x: { time: true, range: () => [end() - data.seconds, end()] },
        y: { range: (u, low, high) => [0, high > 0 ? high * 1.12 : 1] },
      },
      axes: [
        { ...text, show: last, grid: { ...line, show: false }, ticks: line, size: AXIS, gap: 4, values: (u, splits) => splits.map((at) => hour.format(at * 1000)) },
        { ...text, grid: line, ticks: { show: false }, size: 46, gap: 6, space: 34 },
      ],
      series,
      bands,
      hooks: { draw: [marks(strip.dataset.plot === "rate"), ...(strip.dataset.plot === "mix" ? [labels] : [])], setCursor: [read(strip, shape)], ready: [read(strip, shape)] },
    }, rows(shape), canvas);
    return { plot, strip, shape, canvas };
  };

  const draw = () => {
    for (const one of plots) one.plot.destroy();
    const strips = [...place.querySelectorAll("[data-plot]")];
    plots = strips.map((strip, n) => make(strip, n === strips.length - 1));
    keys();
  };

  const refresh = () => {
    for (const { plot, shape, strip } of plots) {
      plot.setData(rows(shape));
      read(strip, shape)(plot);
    }
  };

  const keys = () => {
    const rows = Object.keys(data.versions).map((name) => {
      const row = document.createElement("li");
      row.append(swatch(data.tones[name]), name);
      return row;
    });
    document.querySelector("[data-plot-keys]").replaceChildren(...rows);
  };

  // New values behind the old ones, and as many old ones away.
  const grow = (old, fresh) => {
    if (Array.isArray(old)) return [...old.slice(fresh.length), ...fresh];
    return Object.fromEntries(Object.entries(old).map(([name, one]) => [name, grow(one, fresh[name])]));
  };

  live.addEventListener("plots", (event) => {
    data = JSON.parse(event.detail.data);
    draw();
  });
  live.addEventListener("news", (event) => {
    if (!data) return;
    const fresh = JSON.parse(event.detail.data);
    data.times = grow(data.times, fresh.times);
    data.versions = grow(data.versions, fresh.versions);
    refresh();
  });
  new ResizeObserver(() => {
    for (const { plot, canvas } of plots) {
      if (canvas.clientWidth) plot.setSize({ width: canvas.clientWidth, height: plot.height });
    }
  }).observe(place);
  matchMedia("(prefers-color-scheme: dark)").addEventListener("change", () => data && draw());
})();
