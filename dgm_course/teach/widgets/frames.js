// The frame player: a sheet of grey pictures through time, or a plane of pictures under the cursor.

const SHEET_GAP = 1;

/** A canvas with one canvas pixel for each picture pixel, enlarged by the style sheet without smoothing. */
function makeSheet(rows, columns, h, w, label) {
  const width = columns * (w + SHEET_GAP) - SHEET_GAP, height = rows * (h + SHEET_GAP) - SHEET_GAP;
  const canvas = make("canvas", { width, height, class: "dgm-pixel", role: "img", "aria-label": label });
  const pen = canvas.getContext("2d"), image = pen.createImageData(width, height), pixels = new Uint32Array(image.data.buffer);
  pixels.fill(0xffe6e6e6);                          // the rules between the pictures
  return { canvas, width, height, show: () => pen.putImageData(image, 0, 0), put(raw, at, place) {
    const top = Math.floor(place / columns) * (h + SHEET_GAP), left = (place % columns) * (w + SHEET_GAP);
    for (let y = 0; y < h; y++) for (let x = 0; x < w; x++) {
      pixels[(top + y) * width + left + x] = PAPER[raw[at + y * w + x]];
    }
  } };
}

/** Byte to colour: 0 white paper, 255 ink (#1a1a1a). */
const PAPER = Uint32Array.from({ length: 256 }, (_, v) => { const g = Math.round(255 - v / 255 * (255 - 26)); return (0xff << 24 | g << 16 | g << 8 | g) >>> 0; });

/** The largest whole number of screen pixels for a picture pixel that keeps the sheet within `room`. */
const wholeScale = (width, room) => Math.max(1, Math.floor(room / width));

function renderTime({ spec, raw, el }) {
  const [T, N, H, W] = spec.shape, columns = Math.min(spec.columns, N), rows = Math.ceil(N / columns);
  const sheet = makeSheet(rows, columns, H, W, spec.label), area = H * W;
  const scale = wholeScale(Math.max(sheet.width, sheet.height), spec.size || (N > 1 ? 480 : 300));
  sheet.canvas.style.width = `${sheet.width * scale}px`;
  let draws = 0, shown = -1;
  const index = (u) => Math.round(u * (T - 1));
  const draw = (u) => {
    const k = index(u);
    if (k === shown) return;
    shown = k; draws += 1;
    for (let n = 0; n < N; n++) sheet.put(raw, spec.at + (k * N + n) * area, n);
    sheet.show();
  };
  const { clock, node } = makeTransport({ seconds: spec.seconds, draw, say: (u) => [spec.captions[index(u)]],
    stops: Array.from({ length: T }, (_, k) => k / (T - 1)) });
  const stage = make("div", { class: "dgm-stage", tabindex: 0, role: "group",
    "aria-label": `${spec.label}. Space plays and pauses, arrow keys step, Home and End go to either end.` }, sheet.canvas);
  node.style.minWidth = "300px";
  const root = make("div", { class: "dgm-player" }, make("div", { class: "dgm-main" }, stage, node),
    make("div", { class: "dgm-side" }, speedGroup(clock)));
  listenKeys(root, { " ": clock.toggle, ArrowRight: () => clock.step(1), ArrowLeft: () => clock.step(-1),
    Home: () => { clock.pause(); clock.seek(0); }, End: () => { clock.pause(); clock.seek(1); } });
  root.dgm = { clock, state: () => ({ u: clock.u, frame: shown, draws, playing: clock.playing }) };
  el.replaceChildren(root);
  clock.seek(0);
  return () => clock.pause();
}

function renderPlane({ spec, raw, el }) {
  const [R, C, H, W] = spec.shape, { xs, ys } = spec.plane, area = H * W;
  const map = makeSheet(R, C, H, W, spec.label), big = makeSheet(1, 1, H, W, "The picture under the cursor");
  const room = spec.size || 440, where = [Math.floor(R / 2), Math.floor(C / 2)];
  for (let i = 0; i < R * C; i++) map.put(raw, spec.at + i * area, i);
  map.show();
  const factor = map.width > room ? room / map.width : wholeScale(map.width, room);
  const ratio = wholeScale(W, 220);
  map.canvas.style.width = `${map.width * factor}px`;
  if (factor < 1) map.canvas.classList.remove("dgm-pixel");   // shrunk below its pixels: smooth is truer
  big.canvas.style.width = `${W * ratio}px`;
  const mark = make("div", { class: "dgm-mark", "aria-hidden": "true" });
  const word = make("output", { class: "dgm-clock" }), say = (v) => v.toFixed(2).replace("-", "\u2212");
  const stage = make("div", { class: "dgm-stage dgm-map", tabindex: 0, role: "application",
    "aria-label": `${spec.label}. Arrow keys move the cursor.` }, map.canvas, mark);
  function go(row, column) {
    where[0] = clamp(row, 0, R - 1); where[1] = clamp(column, 0, C - 1);
    big.put(raw, spec.at + (where[0] * C + where[1]) * area, 0);
    big.show();
    const percent = (v, whole) => `${100 * v / whole}%`;
    Object.assign(mark.style, { left: percent(where[1] * (W + SHEET_GAP), map.width), top: percent(where[0] * (H + SHEET_GAP), map.height),
      width: percent(W, map.width), height: percent(H, map.height) });
    word.textContent = `(${say(xs[where[1]])}, ${say(ys[where[0]])})`;
  }
  const point = (event) => {
    const box = map.canvas.getBoundingClientRect();
    go(Math.floor((event.clientY - box.top) / box.height * R), Math.floor((event.clientX - box.left) / box.width * C));
  };
  stage.addEventListener("pointermove", point);
  stage.addEventListener("pointerdown", point);
  word.setAttribute("aria-live", "polite");
  const root = make("div", { class: "dgm-player" }, make("div", { class: "dgm-main" }, stage),
    make("div", { class: "dgm-side" }, group("Under the cursor", big.canvas, word,
      make("span", { class: "dgm-hint", text: "Move over the plane, or click it and use the arrow keys." }))));
  listenKeys(root, { ArrowRight: () => go(where[0], where[1] + 1), ArrowLeft: () => go(where[0], where[1] - 1),
    ArrowDown: () => go(where[0] + 1, where[1]), ArrowUp: () => go(where[0] - 1, where[1]),
    Home: () => go(where[0], 0), End: () => go(where[0], C - 1) });
  root.dgm = { state: () => ({ row: where[0], column: where[1] }) };
  el.replaceChildren(root);
  go(...where);
  return () => {};
}

function render({ model, el }) {
  const spec = model.get("spec"), raw = alignedBytes(model.get("buffer"));
  return (spec.plane ? renderPlane : renderTime)({ spec, raw, el });
}

export default { render };
