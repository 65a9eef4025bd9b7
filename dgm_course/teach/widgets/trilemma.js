// The trilemma player: three axes side by side, a line for each model; the line under the pointer shows its digits.

const WIDE = 470, TALL = 330, TOP = 46, BOTTOM = 22, SIDE = 28, ACROSS = 5;

function render({ model, el }) {
  const spec = model.get("spec"), raw = alignedBytes(model.get("buffer")), lines = spec.lines;
  let chosen = 0, pinned = true;
  const { canvas, pen } = makeCanvas(WIDE, TALL, { role: "img", "aria-label": spec.label, style: `width:${WIDE}px;height:${TALL}px;cursor:pointer` });
  const down = Math.ceil(spec.count / ACROSS);
  const sheet = make("canvas", { width: ACROSS * SIDE, height: down * SIDE, role: "img", class: "dgm-pixel",
    style: `width:${ACROSS * 40}px;height:${down * 40}px` });
  const name = make("output", { class: "dgm-clock", "aria-live": "polite" }), details = make("div", { class: "dgm-report" });
  const ax = (i) => 62 + i * (WIDE - 124) / 2, ay = (h) => TOP + (1 - h) * (TALL - TOP - BOTTOM);

  function axes() {
    pen.clearRect(0, 0, WIDE, TALL);
    pen.textAlign = "center"; pen.lineWidth = 1;
    spec.axes.forEach((title, i) => {
      pen.strokeStyle = "#c9c9c9"; pen.beginPath(); pen.moveTo(ax(i), ay(0)); pen.lineTo(ax(i), ay(1)); pen.stroke();
      pen.fillStyle = COLOUR.ink; pen.font = "600 13px system-ui, sans-serif"; pen.fillText(title, ax(i), 16);
      pen.font = "11px system-ui, sans-serif"; pen.fillText(spec.ends[i][1], ax(i), 32); pen.fillText(spec.ends[i][0], ax(i), TALL - 6);
    });
  }

  function stroke(line, bold) {
    pen.strokeStyle = pen.fillStyle = line.colour; pen.globalAlpha = bold ? 1 : 0.45; pen.lineWidth = bold ? 4 : 1.6;
    pen.beginPath();
    line.heights.forEach((h, i) => (i ? pen.lineTo(ax(i), ay(h)) : pen.moveTo(ax(i), ay(h))));
    pen.stroke();
    line.heights.forEach((h, i) => { pen.beginPath(); pen.arc(ax(i), ay(h), bold ? 6 : 3, 0, 2 * Math.PI); pen.fill(); });
    pen.globalAlpha = 1;
  }

  function digits(line) {
    const ink = view(raw, Uint8Array, line.at, spec.count * SIDE * SIDE), brush = sheet.getContext("2d");
    const image = brush.createImageData(ACROSS * SIDE, down * SIDE);
    image.data.fill(255);
    for (let k = 0; k < spec.count; k++) for (let r = 0; r < SIDE; r++) for (let c = 0; c < SIDE; c++) {
      const to = 4 * (((k / ACROSS | 0) * SIDE + r) * ACROSS * SIDE + (k % ACROSS) * SIDE + c), v = ink[(k * SIDE + r) * SIDE + c];
      image.data[to] = image.data[to + 1] = image.data[to + 2] = v;
    }
    brush.putImageData(image, 0, 0);
    sheet.setAttribute("aria-label", `digits drawn by ${line.name}`);
  }

  function draw() {
    axes();
    lines.forEach((line, k) => { if (k !== chosen) stroke(line, false); });
    stroke(lines[chosen], true);
    name.textContent = lines[chosen].name;
    details.replaceChildren(make("div", { text: lines[chosen].family }), ...lines[chosen].figures.map((text) => make("div", { text })));
    digits(lines[chosen]);
  }

  /** How far a point is from a line of three points, in pixels. */
  function away(line, x, y) {
    let least = Infinity;
    for (let i = 0; i < 2; i++) {
      const [x0, y0, x1, y1] = [ax(i), ay(line.heights[i]), ax(i + 1), ay(line.heights[i + 1])];
      const u = clamp(((x - x0) * (x1 - x0) + (y - y0) * (y1 - y0)) / ((x1 - x0) ** 2 + (y1 - y0) ** 2), 0, 1);
      least = Math.min(least, Math.hypot(x - x0 - u * (x1 - x0), y - y0 - u * (y1 - y0)));
    }
    return least;
  }

  function nearest(event) {
    const box = canvas.getBoundingClientRect(), scale = WIDE / box.width;
    const x = (event.clientX - box.left) * scale, y = (event.clientY - box.top) * scale;
    const far = lines.map((line) => away(line, x, y)), best = far.indexOf(Math.min(...far));
    return far[best] < 25 ? best : -1;
  }

  const choose = (k) => { chosen = (k + lines.length) % lines.length; list.value = String(chosen); draw(); };
  canvas.addEventListener("pointermove", (event) => { const k = nearest(event); if (!pinned && k >= 0 && k !== chosen) choose(k); });
  canvas.addEventListener("pointerenter", () => { pinned = false; });
  canvas.addEventListener("pointerdown", (event) => { const k = nearest(event); if (k >= 0) { choose(k); pinned = true; } });
  const field = choice("model", lines.map((line, k) => [String(k), line.name]), "0", (value) => { pinned = true; choose(Number(value)); });
  const list = field.querySelector("select");
  const stage = make("div", { class: "dgm-stage", tabindex: 0, role: "application",
    "aria-label": `${spec.label}. N and P choose the next and the previous model.` }, canvas);
  const root = make("div", { class: "dgm-player" }, make("div", { class: "dgm-main" }, stage),
    make("div", { class: "dgm-side" }, group("Model", name, field, details), sheet,
      make("span", { class: "dgm-hint", text: "Point at a line; a click keeps it. N and P go through the models." })));
  listenKeys(root, { n: () => choose(chosen + 1), p: () => choose(chosen - 1), ArrowRight: () => choose(chosen + 1), ArrowLeft: () => choose(chosen - 1) });
  root.dgm = { state: () => ({ chosen, name: lines[chosen].name, count: lines.length, spots: lines.map((line) => line.heights.map((h, i) => [ax(i), ay(h)])) }) };
  el.replaceChildren(root);
  draw();
  return () => {};
}

export default { render };
