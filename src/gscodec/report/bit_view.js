// Balls on a canvas, far ones first. Everything it shows is in the element #data.
"use strict";
(() => {
  const data = JSON.parse(document.getElementById("data").textContent);
  const bytes = (text) => Uint8Array.from(atob(text), (c) => c.charCodeAt(0)).buffer;
  const cells = new Uint8Array(bytes(data.cells));
  const counts = new Uint32Array(bytes(data.counts));
  const radii = new Float32Array(bytes(data.radii));
  const bits = data.bits.map((text) => new Float32Array(bytes(text)));
  const size = counts.length;
  const sums = new Float32Array(size);
  for (const each of bits) for (let i = 0; i < size; i++) sums[i] += each[i];

  const canvas = document.getElementById("view");
  const what = document.getElementById("what");
  const how = document.getElementById("how");
  const pen = canvas.getContext("2d");

  // --- colours: one shaded ball for each, drawn once ------------------------------------------

  const SHADES = 64, EDGE = 64;
  const channels = data.ramp.map((c) => [1, 3, 5].map((i) => parseInt(c.slice(i, i + 2), 16)));
  const balls = Array.from({ length: SHADES }, (_, i) => {
    const place = (i / (SHADES - 1)) * (channels.length - 1);
    const from = Math.min(Math.floor(place), channels.length - 2), t = place - from;
    const rgb = channels[from].map((c, k) => c + t * (channels[from + 1][k] - c));
    const tint = (f) => `rgb(${rgb.map((c) => Math.round(c * f)).join(",")})`;
    const ball = document.createElement("canvas");
    ball.width = ball.height = EDGE;
    const ink = ball.getContext("2d");
    const light = ink.createRadialGradient(EDGE * 0.34, EDGE * 0.28, 0, EDGE / 2, EDGE / 2, EDGE / 2);
    light.addColorStop(0, tint(1));
    light.addColorStop(0.6, tint(0.8));
    light.addColorStop(1, tint(0.42));
    ink.fillStyle = light;
    ink.beginPath();
    ink.arc(EDGE / 2, EDGE / 2, EDGE / 2 - 1, 0, 2 * Math.PI);
    ink.fill();
    return ball;
  });

  let values, shades;
  const short = (v) => (v < 0.005 ? 0 : v).toLocaleString("en", { maximumSignificantDigits: 3 });
  function colour() {
    const chosen = what.value === "0" ? sums : bits[what.value - 1];
    const mean = how.value === "mean";
    values = chosen.map((v, i) => (mean ? v / counts[i] : v));
    const order = Array.from(values.keys()).sort((a, b) => values[a] - values[b]);
    const scale = mean ? (v) => v : (v) => Math.log(Math.max(v, 1)); // totals differ by decades
    const weight = (i) => (mean ? counts[i] : 1);
    const all = order.reduce((sum, i) => sum + weight(i), 0);
    const end = (share) => {
      let sum = 0;
      const last = order.find((i) => (sum += weight(i)) >= share * all);
      return Math.max(values[last], mean ? 0 : 1);
    };
    const low = end(0.02), high = end(0.98);
    const start = scale(low), span = scale(high) - start || 1;
    shades = Array.from(values, (v) =>
      Math.round((SHADES - 1) * Math.min(Math.max((scale(v) - start) / span, 0), 1)));
    document.getElementById("low").textContent = size ? short(low) : "";
    document.getElementById("high").textContent = size ? `${short(high)} bits` : "";
    draw();
  }

  // --- view: about the middle of the cells, turned by the mouse ---------------------------------

  const low = [255, 255, 255], high = [0, 0, 0];
  cells.forEach((cell, i) => {
    low[i % 3] = Math.min(low[i % 3], cell);
    high[i % 3] = Math.max(high[i % 3], cell);
  });
  const middle = low.map((v, k) => (v + high[k]) / 2);
  let turn = 0.61, rise = 0.42, zoom = 1, seen = [];
  function projected() { // in cells: right, down, away
    const [ct, st, cr, sr] = [Math.cos(turn), Math.sin(turn), Math.cos(rise), Math.sin(rise)];
    return Array.from({ length: size }, (_, i) => {
      const p = middle.map((m, k) => cells[3 * i + k] - m);
      const [x, y, z] = data.upright.map((row) => row[0] * p[0] + row[1] * p[1] + row[2] * p[2]);
      const back = ct * y - st * x;
      return { i, x: ct * x + st * y, y: -(sr * back + cr * z), depth: cr * back - sr * z };
    });
  }
  const [across, down] = projected().reduce(
    ([a, d], s) => [Math.max(a, Math.abs(s.x)), Math.max(d, Math.abs(s.y))], [1, 1]);
  function draw() {
    const ratio = window.devicePixelRatio || 1;
    const width = (canvas.width = Math.round(canvas.clientWidth * ratio));
    const height = (canvas.height = Math.round(canvas.clientHeight * ratio));
    const scale = zoom * 0.47 * Math.min(width / across, height / down);
    seen = projected().sort((a, b) => b.depth - a.depth);
    for (const s of seen) {
      [s.x, s.y, s.r] = [width / 2 + scale * s.x, height / 2 + scale * s.y, scale * radii[s.i]];
      pen.drawImage(balls[shades[s.i]], s.x - s.r, s.y - s.r, 2 * s.r, 2 * s.r);
    }
  }
  let waiting = false;
  function later() {
    if (waiting) return;
    waiting = true;
    requestAnimationFrame(() => { waiting = false; draw(); });
  }

  // --- mouse and fingers ------------------------------------------------------------------------

  const held = new Map(); // buttons and fingers that are down -> where
  const apart = () => { const [a, b] = held.values(); return Math.hypot(a[0] - b[0], a[1] - b[1]); };
  function nearer(factor) { zoom = Math.min(Math.max(zoom * factor, 0.3), 20); later(); }
  canvas.addEventListener("pointerdown", (event) => {
    canvas.setPointerCapture(event.pointerId);
    held.set(event.pointerId, [event.clientX, event.clientY]);
  });
  for (const name of ["pointerup", "pointercancel"]) {
    canvas.addEventListener(name, (event) => held.delete(event.pointerId));
  }
  canvas.addEventListener("pointermove", (event) => {
    if (held.size === 2 && held.has(event.pointerId)) {
      const before = apart();
      held.set(event.pointerId, [event.clientX, event.clientY]);
      if (before > 0) nearer(apart() / before);
    } else if (event.buttons) {
      held.set(event.pointerId, [event.clientX, event.clientY]);
      turn -= event.movementX / 150;
      rise = Math.min(Math.max(rise + event.movementY / 150, -1.57), 1.57);
      later();
    } else about(event);
  });
  canvas.addEventListener("wheel", (event) => {
    event.preventDefault();
    nearer(Math.exp(-event.deltaY / 600));
  }, { passive: false });
  function about(event) {
    const ratio = window.devicePixelRatio || 1, x = event.offsetX * ratio, y = event.offsetY * ratio;
    const hit = seen.findLast((s) => Math.hypot(s.x - x, s.y - y) < s.r);
    document.getElementById("about").textContent = !hit ? "" :
      `${counts[hit.i].toLocaleString("en")} ${data.noun}${counts[hit.i] === 1 ? "" : "s"}, ` +
      `${short(sums[hit.i])} bits, ${short(sums[hit.i] / counts[hit.i])} each: ` +
      data.names.map((n, k) => `${n} ${short(bits[k][hit.i] / counts[hit.i])}`).join(", ");
  }
  what.addEventListener("change", colour);
  how.addEventListener("change", colour);
  window.addEventListener("resize", later);
  colour();
})();
