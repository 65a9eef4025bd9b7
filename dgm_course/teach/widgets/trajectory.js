// The trajectory player. Every picture is a function of the clock alone, so scrubbing and playing agree.

const KEEP = 22;      // pixels kept around the cloud's own canvas, so that a dot may leave the frame
const RAMP = [rgb(COLOUR.grey), rgb(COLOUR.blue)];

function rampColour(u) {
  const s = u * u * (3 - 2 * u);
  return RAMP[0].map((c, i) => Math.round(c + (RAMP[1][i] - c) * s));
}

/** Which two frames surround time t, and how far between them it lies. */
function between(times, t) {
  let lo = 0, hi = times.length - 1;
  while (hi - lo > 1) { const mid = (lo + hi) >> 1; if (times[mid] <= t) lo = mid; else hi = mid; }
  return [lo, hi, clamp((t - times[lo]) / (times[hi] - times[lo]), 0, 1)];
}

/** A round dot of radius r for each of 4 x 4 sub-pixel positions: which neighbours it covers, and how much. */
function makeDots(r, alpha, width) {
  const reach = Math.ceil(r + 1), dots = [];
  for (let phase = 0; phase < 16; phase++) {
    const cx = ((phase & 3) + 0.5) / 4, cy = ((phase >> 2) + 0.5) / 4, offset = [], weight = [];
    for (let y = -reach; y <= reach; y++) for (let x = -reach; x <= reach; x++) {
      const cover = clamp(r + 0.5 - Math.hypot(x + 0.5 - cx, y + 0.5 - cy), 0, 1) * alpha;
      if (cover > 0.01) { offset.push(y * width + x); weight.push(Math.round(cover * 256)); }
    }
    dots.push([Int32Array.from(offset), Int32Array.from(weight)]);
  }
  return dots;
}

/** One panel: draws itself at any u. */
function makePanel(raw, spec, whole) {
  const { size, frame, span } = whole, [T, N] = spec.shape, times = spec.times;
  const x = view(raw, Uint16Array, spec.x, T * N * 2);
  const scale = spec.wide * 2 / 65535, toX = (v) => (v / frame + 1) / 2 * size, toY = (v) => (1 - v / frame) / 2 * size;
  const { canvas, pen, ratio } = makeCanvas(size, size, { role: "img", "aria-label": spec.title ? `${spec.title}. ${whole.label}` : whole.label });
  const field = spec.field ? makeField(raw, spec.field, frame, span) : null;
  const codes = spec.palette ? view(raw, Uint8Array, spec.codes, N) : null;
  const palette = spec.palette ? spec.palette.map(rgb) : null;

  // The cloud has its own canvas of device pixels with a margin; 10,000 dots are blended into it by hand.
  const pad = KEEP * ratio, W = canvas.width + 2 * pad;
  const cloud = make("canvas", { width: W, height: W }), cloudPen = cloud.getContext("2d", { willReadFrequently: true });
  const image = cloudPen.createImageData(W, W), bytes = image.data, pixels = new Uint32Array(bytes.buffer);
  const radius = clamp(2.7 * (500 / N) ** 0.25, 1.15, 3.4), alpha = clamp(0.85 * (800 / N) ** 0.22, 0.5, 0.85);
  const dots = makeDots(radius * ratio, alpha, W);

  function drawCloud(t, u) {
    const [lo, hi, w] = between(times, t), a = lo * N * 2, b = hi * N * 2;
    const [r, g, bl] = rampColour(u), k = canvas.width / (2 * frame), mid = canvas.width / 2 + pad;
    pixels.fill(codes ? 0 : (bl << 16) | (g << 8) | r);
    const near = pad * 0.4, far = W - near;
    for (let i = 0; i < N; i++) {
      const p = 2 * i, qx = x[a + p] + (x[b + p] - x[a + p]) * w, qy = x[a + p + 1] + (x[b + p + 1] - x[a + p + 1]) * w;
      const px = mid + (qx * scale - spec.wide) * k, py = mid - (qy * scale - spec.wide) * k;
      if (!(px > near && px < far && py > near && py < far)) continue;
      const ix = px | 0, iy = py | 0, [offset, weight] = dots[(((py - iy) * 4) << 2) | ((px - ix) * 4)];
      if (codes) stampColour(iy * W + ix, offset, weight, palette[codes[i]]);
      else stamp(iy * W + ix, offset, weight);
    }
    cloudPen.putImageData(image, 0, 0);
    pen.drawImage(cloud, -KEEP, -KEEP, size + 2 * KEEP, size + 2 * KEEP);
  }
  function stamp(base, offset, weight) {
    for (let j = 0; j < offset.length; j++) {
      const q = (base + offset[j]) * 4 + 3, old = bytes[q];
      bytes[q] = old + (((255 - old) * weight[j]) >> 8);
    }
  }
  function stampColour(base, offset, weight, colour) {
    for (let j = 0; j < offset.length; j++) {
      const q = (base + offset[j]) * 4, old = bytes[q + 3], now = old + (((255 - old) * weight[j]) >> 8);
      const share = Math.max(weight[j] / 256, 1 - old / Math.max(now, 1));
      for (let c = 0; c < 3; c++) bytes[q + c] += (colour[c] - bytes[q + c]) * share;
      bytes[q + 3] = now;
    }
  }

  // Trails: the way of some particles, fading towards the past, or whole.
  const some = Math.min(N, whole.trails), stride = Math.max(1, Math.floor(N / Math.max(some, 1)));
  const place = (i, t) => {
    const [lo, hi, w] = between(times, t), p = (lo * N + i) * 2, q = (hi * N + i) * 2;
    return [toX((x[p] + (x[q] - x[p]) * w) * scale - spec.wide), toY((x[p + 1] + (x[q + 1] - x[p + 1]) * w) * scale - spec.wide)];
  };
  function drawTrails(t, u, kind) {
    const from = kind === "whole" ? span[0] : Math.max(span[0], t - 0.16 * (span[1] - span[0]));
    if (t <= from || !some) return;
    const knots = [from, ...thin(times.filter((s) => s > from && s < t), kind === "whole" ? 60 : 24), t];
    const bands = kind === "whole" ? 1 : 4, colours = codes ? palette : [rampColour(u)];
    pen.lineWidth = kind === "whole" ? 0.8 : 1; pen.lineJoin = "round";
    for (let band = 0; band < bands; band++) {
      const first = Math.floor(band / bands * (knots.length - 1)), last = Math.floor((band + 1) / bands * (knots.length - 1));
      if (last <= first) continue;
      colours.forEach((colour, code) => {
        pen.beginPath();
        for (let n = 0; n < some; n++) {
          const i = n * stride;
          if (codes && codes[i] !== code) continue;
          pen.moveTo(...place(i, knots[first]));
          for (let s = first + 1; s <= last; s++) pen.lineTo(...place(i, knots[s]));
        }
        pen.strokeStyle = `rgba(${colour},${kind === "whole" ? 0.3 : 0.12 + 0.13 * band})`;
        pen.stroke();
      });
    }
  }
  const thin = (list, most) => list.filter((_, i) => i % Math.ceil(list.length / most) === 0);

  // Behind the cloud: the exact density in green, the axes, the field's arrows, the data in ink.
  let shade = null;
  function drawDensity(u) {
    const { at, shape: [K, H, D] } = spec.density;
    if (!shade) {
      const small = make("canvas", { width: D, height: H }), smallPen = small.getContext("2d");
      shade = { small, smallPen, picture: smallPen.createImageData(D, H), all: view(raw, Uint8Array, at, K * H * D) };
      const [r, g, b] = rgb(COLOUR.green), px = new Uint32Array(shade.picture.data.buffer);
      px.fill((b << 16) | (g << 8) | r);
    }
    const s = u * (K - 1), k = Math.min(Math.max(K - 2, 0), Math.floor(s)), w = K > 1 ? s - k : 0, step = K > 1 ? H * D : 0;
    const { all, picture } = shade, a = k * H * D;
    for (let row = 0; row < H; row++) for (let col = 0; col < D; col++) {
      const p = a + row * D + col, v = all[p] + (all[p + step] - all[p]) * w;
      picture.data[((H - 1 - row) * D + col) * 4 + 3] = v * 0.5;
    }
    shade.smallPen.putImageData(picture, 0, 0);
    pen.imageSmoothingQuality = "high";
    pen.drawImage(shade.small, 0, 0, size, size);
  }
  function drawAxes() {
    pen.strokeStyle = "#e6e6e6"; pen.lineWidth = 1;
    pen.beginPath();
    pen.moveTo(0, size / 2); pen.lineTo(size, size / 2); pen.moveTo(size / 2, 0); pen.lineTo(size / 2, size);
    pen.stroke();
  }
  function drawScale() {
    pen.font = "10px system-ui, sans-serif"; pen.lineWidth = 3; pen.strokeStyle = "#fff"; pen.fillStyle = "#8f8f8f";
    for (const [text, side, place] of [[`\u2212${frame}`, "left", 5], [`${frame}`, "right", size - 5]]) {
      pen.textAlign = side;
      pen.strokeText(text, place, size / 2 - 4); pen.fillText(text, place, size / 2 - 4);
    }
  }
  function drawArrows(t) {
    const count = size > 400 ? 17 : 13, cell = size / count;
    const slopes = [];
    let typical = 0;
    for (let j = 0; j < count; j++) for (let i = 0; i < count; i++) {
      const cx = (i + 0.5) * cell, cy = (j + 0.5) * cell;
      const [u, v] = field((cx / size * 2 - 1) * frame, (1 - cy / size * 2) * frame, t), speed = Math.hypot(u, v);
      slopes.push([cx, cy, u, v, speed]); typical += speed / (count * count);
    }
    pen.strokeStyle = "rgba(90,90,90,.42)"; pen.lineWidth = 1; pen.beginPath();
    for (const [cx, cy, u, v, speed] of slopes) {
      const length = 0.92 * cell * speed / (speed + 0.6 * typical + 1e-9);
      if (length < 1.5) continue;
      const dx = u / speed * length, dy = -v / speed * length, ex = cx + dx / 2, ey = cy + dy / 2;
      pen.moveTo(cx - dx / 2, cy - dy / 2); pen.lineTo(ex, ey);
      pen.moveTo(ex - 0.3 * dx + 0.2 * dy, ey - 0.3 * dy - 0.2 * dx); pen.lineTo(ex, ey);
      pen.lineTo(ex - 0.3 * dx - 0.2 * dy, ey - 0.3 * dy + 0.2 * dx);
    }
    pen.stroke();
  }
  let dataLayer = null;
  function drawData() {
    if (!dataLayer) {
      dataLayer = makeCanvas(size, size);
      const q = view(raw, Uint16Array, spec.data.at, spec.data.count * 2);
      dataLayer.pen.fillStyle = "rgba(26,26,26,.4)"; dataLayer.pen.beginPath();
      for (let i = 0; i < q.length; i += 2) {
        const cx = toX(q[i] * scale - spec.wide), cy = toY(q[i + 1] * scale - spec.wide);
        dataLayer.pen.moveTo(cx + 1.1, cy); dataLayer.pen.arc(cx, cy, 1.1, 0, 7);
      }
      dataLayer.pen.fill();
    }
    pen.drawImage(dataLayer.canvas, 0, 0, size, size);
  }

  // The reader's own particles: the chosen solver in vermilion over the fine path in dashed green.
  function line(path, colour, width, dash) {
    pen.strokeStyle = colour; pen.lineWidth = width; pen.lineJoin = "round"; pen.setLineDash(dash); pen.beginPath();
    path.forEach(([a, b], i) => (i ? pen.lineTo(toX(a), toY(b)) : pen.moveTo(toX(a), toY(b))));
    pen.stroke(); pen.setLineDash([]);
  }
  function disc([a, b], r, fill, edge, width = 2) {
    pen.beginPath(); pen.arc(toX(a), toY(b), r, 0, 7);
    pen.fillStyle = fill; pen.fill();
    pen.strokeStyle = edge; pen.lineWidth = width; pen.stroke();
  }
  function drawDrop(drop, u) {
    line(drop.path, "rgba(255,255,255,.85)", 4.5, []);
    line(drop.path, COLOUR.red, 2, []);
    line(drop.fine, COLOUR.green, 2, [5, 4]);
    if (drop.path.length <= 41) drop.path.forEach((p) => disc(p, 2.4, COLOUR.red, "#fff", 0.8));
    disc(drop.path[0], 4, "#fff", COLOUR.red);
    disc(along(drop.path, u), 6, COLOUR.red, "#fff");
  }

  const panel = { canvas, field, drops: [], has: spec };
  panel.refollow = (starts, solver, steps) => {
    if (field) panel.drops = starts.map((p) => ({ path: follow(field, p, span, solver, steps), fine: follow(field, p, span, "rk4", 200) }));
  };
  panel.gap = () => panel.drops.reduce((sum, { path, fine }) => {
    const [a, b] = [path, fine].map((way) => way[way.length - 1]);
    return sum + Math.hypot(a[0] - b[0], a[1] - b[1]) / panel.drops.length;
  }, 0);
  panel.start = (share) => { const i = Math.floor(share * N) * 2; return [x[i] * scale - spec.wide, x[i + 1] * scale - spec.wide]; };
  panel.draw = (u, show) => {
    const t = span[0] + u * (span[1] - span[0]);
    pen.fillStyle = "#fff"; pen.fillRect(0, 0, size, size);
    if (spec.density && show.density) drawDensity(u);
    drawAxes();
    if (field && show.arrows) drawArrows(t);
    drawScale();
    if (spec.data && show.data) drawData();
    if (show.trails !== "none") drawTrails(t, u, show.trails);
    if (show.cloud) drawCloud(t, u);
    panel.drops.forEach((drop) => drawDrop(drop, u));
  };
  return panel;
}
