// The cell player: vectors of a codebook on a plane of points; each owns the region in which it is the nearest.
// Drag a vector, or step the whole codebook as k-means does. All of it is computed here.

const SIDE = 420, BLOCK = 3, REACH = 20;
const SHADES = [252, 236, 244, 230, 240, 248, 233];

/** The number of the vector nearest to (x, y); of equals the first. */
function nearestTo(vectors, x, y) {
  let best = 0, least = Infinity;
  for (let k = 0; k < vectors.length; k++) {
    const dx = x - vectors[k][0], dy = y - vectors[k][1], away = dx * dx + dy * dy;
    if (away < least) { least = away; best = k; }
  }
  return [best, least];
}

/** Who chose whom: counts and sums of every vector, and the mean squared distance. */
function census(vectors, points) {
  const counts = vectors.map(() => 0), sums = vectors.map(() => [0, 0]), n = points.length / 2;
  let error = 0;
  for (let i = 0; i < n; i++) {
    const x = points[2 * i], y = points[2 * i + 1], [k, away] = nearestTo(vectors, x, y);
    counts[k] += 1; sums[k][0] += x; sums[k][1] += y; error += away / n;
  }
  const entropy = counts.reduce((h, c) => (c ? h - (c / n) * Math.log(c / n) : h), 0);
  return { counts, sums, error, used: counts.filter((c) => c > 0).length, perplexity: Math.exp(entropy) };
}

function render({ model, el }) {
  const spec = model.get("spec"), raw = alignedBytes(model.get("buffer")), points = view(raw, Float32Array, spec.at, 2 * spec.count);
  const start = spec.vectors, limit = spec.frame, copy = (table) => table.map((v) => [...v]);
  let vectors = copy(start), chosen = 0, held = false, seen = census(vectors, points), random = 7;
  const { canvas, pen } = makeCanvas(SIDE, SIDE, { role: "img", "aria-label": spec.label, style: `width:${SIDE}px;height:${SIDE}px;touch-action:none;cursor:grab` });
  const px = (v) => (v + limit) / (2 * limit) * SIDE, py = (v) => SIDE - px(v), back = (p) => p / SIDE * 2 * limit - limit;
  const error = make("output", { class: "dgm-clock", "aria-live": "polite" }), inUse = make("output", { class: "dgm-clock" });
  const owner = new Int16Array((SIDE / BLOCK) ** 2);

  function cells() {
    const across = SIDE / BLOCK, at = (r, c) => owner[r * across + c];
    for (let r = 0; r < across; r++) for (let c = 0; c < across; c++) {
      owner[r * across + c] = nearestTo(vectors, back((c + 0.5) * BLOCK), -back((r + 0.5) * BLOCK))[0];
    }
    for (let r = 0; r < across; r++) for (let c = 0; c < across; c++) {
      const k = at(r, c), border = (c + 1 < across && at(r, c + 1) !== k) || (r + 1 < across && at(r + 1, c) !== k);
      const shade = border ? 150 : SHADES[k % SHADES.length];
      pen.fillStyle = `rgb(${shade},${shade},${shade})`;
      pen.fillRect(c * BLOCK, r * BLOCK, BLOCK, BLOCK);
    }
  }

  function disc(x, y, radius, fill, ring) {
    pen.beginPath(); pen.arc(x, y, radius, 0, 2 * Math.PI);
    if (fill) { pen.fillStyle = fill; pen.fill(); }
    if (ring) { pen.strokeStyle = ring; pen.lineWidth = 2; pen.stroke(); }
  }

  function cross(x, y) {
    pen.strokeStyle = COLOUR.red; pen.lineWidth = 2.5; pen.beginPath();
    pen.moveTo(x - 5, y - 5); pen.lineTo(x + 5, y + 5); pen.moveTo(x + 5, y - 5); pen.lineTo(x - 5, y + 5); pen.stroke();
  }

  function draw() {
    seen = census(vectors, points);
    cells();
    for (let i = 0; i < spec.count; i++) disc(px(points[2 * i]), py(points[2 * i + 1]), 1.3, "rgba(26,26,26,.5)");
    vectors.forEach(([x, y], k) => (seen.counts[k] ? disc(px(x), py(y), 6, COLOUR.blue) : cross(px(x), py(y))));
    disc(px(vectors[chosen][0]), py(vectors[chosen][1]), 11, null, COLOUR.red);
    error.textContent = seen.error.toFixed(3);
    inUse.textContent = `${seen.used} of ${vectors.length}, perplexity ${seen.perplexity.toFixed(1)}`;
  }

  const move = (k, x, y) => { vectors[k] = [clamp(x, -limit, limit), clamp(y, -limit, limit)]; draw(); };
  const nudge = (dx, dy) => move(chosen, vectors[chosen][0] + dx, vectors[chosen][1] + dy);
  const select = (step) => { chosen = (chosen + step + vectors.length) % vectors.length; draw(); };
  const lloyd = () => { vectors = vectors.map((v, k) => (seen.counts[k] ? seen.sums[k].map((s) => s / seen.counts[k]) : v)); draw(); };
  const lot = () => { random = (random * 1103515245 + 12345) % 2147483648; return Math.floor(random / 2147483648 * spec.count); };
  const revive = () => { vectors = vectors.map((v, k) => { const i = lot(); return seen.counts[k] ? v : [points[2 * i], points[2 * i + 1]]; }); draw(); };
  const restart = () => { vectors = copy(start); chosen = 0; random = 7; draw(); };

  const place = (event) => {
    const box = canvas.getBoundingClientRect(), scale = SIDE / box.width;
    return [back((event.clientX - box.left) * scale), -back((event.clientY - box.top) * scale)];
  };
  canvas.addEventListener("pointerdown", (event) => {
    const [x, y] = place(event), [k, away] = nearestTo(vectors, x, y);
    if (Math.sqrt(away) / (2 * limit) * SIDE > REACH) return;
    chosen = k; held = true; canvas.setPointerCapture(event.pointerId); draw();
  });
  canvas.addEventListener("pointermove", (event) => { if (held) move(chosen, ...place(event)); });
  for (const end of ["pointerup", "pointercancel"]) canvas.addEventListener(end, () => { held = false; });

  const stage = make("div", { class: "dgm-stage", tabindex: 0, role: "application",
    "aria-label": `${spec.label}. N and P choose a vector, arrow keys move it, K is a step of k-means.` }, canvas);
  const button = (text, act) => make("button", { type: "button", text, onclick: act });
  const root = make("div", { class: "dgm-player" }, make("div", { class: "dgm-main" }, stage),
    make("div", { class: "dgm-side" }, group("Mean squared distance", error), group("Vectors in use", inUse),
      group("All vectors", button("A step of k-means", lloyd), button("Revive the dead", revive), button("As at first", restart)),
      make("span", { class: "dgm-hint", text: "Drag a vector, or choose one with N and P and move it with the arrow keys." })));
  listenKeys(root, { ArrowRight: () => nudge(0.1, 0), ArrowLeft: () => nudge(-0.1, 0), ArrowUp: () => nudge(0, 0.1),
    ArrowDown: () => nudge(0, -0.1), n: () => select(1), p: () => select(-1), k: lloyd });
  root.dgm = { state: () => ({ vectors: copy(vectors), chosen, error: seen.error, used: seen.used, perplexity: seen.perplexity }) };
  el.replaceChildren(root);
  draw();
  return () => {};
}

export default { render };
