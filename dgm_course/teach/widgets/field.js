// A vector field known on a space-time grid, and three ways to follow it: x <- x + h f(x, t) and its betters.

/** Velocities between the grid's nodes by linear interpolation in x, y and t; beyond the frame, those of its edge. */
function makeField(raw, spec, limit, span) {
  const [K, G] = spec.shape, codes = view(raw, Uint16Array, spec.at, K * G * G * 2);
  const values = new Float32Array(codes.length), slice = G * G * 2;
  for (let i = 0; i < codes.length; i++) values[i] = (codes[i] / 65535 * 2 - 1) * spec.scale[(i / slice) | 0];
  const cell = (v, count) => { const i = Math.min(count - 2, Math.floor(v)); return [i, v - i]; };
  return (x, y, t) => {
    const [i, a] = cell(clamp((x / limit + 1) / 2, 0, 1) * (G - 1), G);
    const [j, b] = cell(clamp((y / limit + 1) / 2, 0, 1) * (G - 1), G);
    const [k, c] = cell(clamp((t - span[0]) / (span[1] - span[0]), 0, 1) * (K - 1), K);
    let u = 0, v = 0;
    for (let n = 0; n < 8; n++) {
      const di = n & 1, dj = (n >> 1) & 1, dk = n >> 2;
      const w = (di ? a : 1 - a) * (dj ? b : 1 - b) * (dk ? c : 1 - c);
      const p = (k + dk) * slice + ((j + dj) * G + i + di) * 2;
      u += w * values[p]; v += w * values[p + 1];
    }
    return [u, v];
  };
}

const go = ([x, y], [u, v], h) => [x + h * u, y + h * v];
const at = (f, p, t) => f(p[0], p[1], t);
const mean = (slopes, weights) => [0, 1].map((d) => slopes.reduce((sum, s, i) => sum + weights[i] * s[d], 0));

const SOLVERS = {
  euler: { name: "Euler", cost: 1, step: (f, p, t, h) => go(p, at(f, p, t), h) },
  heun: { name: "Heun", cost: 2, step(f, p, t, h) {
    const k1 = at(f, p, t), k2 = at(f, go(p, k1, h), t + h);
    return go(p, mean([k1, k2], [1 / 2, 1 / 2]), h);
  } },
  rk4: { name: "RK4", cost: 4, step(f, p, t, h) {
    const k1 = at(f, p, t), k2 = at(f, go(p, k1, h / 2), t + h / 2);
    const k3 = at(f, go(p, k2, h / 2), t + h / 2), k4 = at(f, go(p, k3, h), t + h);
    return go(p, mean([k1, k2, k3, k4], [1 / 6, 1 / 3, 1 / 3, 1 / 6]), h);
  } },
};

/** The path of a particle that starts at p: steps + 1 points, evenly spaced over the span. */
function follow(field, p, span, solver, steps) {
  const h = (span[1] - span[0]) / steps, path = [p];
  for (let k = 0; k < steps; k++) path.push(SOLVERS[solver].step(field, path[k], span[0] + k * h, h));
  return path;
}

/** Where on a path of evenly timed points one stands at u in [0, 1]. */
function along(path, u) {
  const s = u * (path.length - 1), k = Math.min(path.length - 2, Math.floor(s)), w = s - k;
  return [0, 1].map((d) => path[k][d] + (path[k + 1][d] - path[k][d]) * w);
}
