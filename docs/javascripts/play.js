// The page docs/idea.md: DampedSGD's own four scalars on two losses of two variables.
(function () {
  const losses = {
    valley: {
      value: (x, y) => 0.5 * (x * x + 25 * y * y),
      gradient: (x, y) => [x, 25 * y],
    },
    kink: {
      value: (x, y) => Math.abs(x) + Math.abs(y) / 4,
      gradient: (x, y) => [Math.sign(x), Math.sign(y) / 4],
    },
  };
  const steps = 300;

  // indian_core.momentum_law.sgd_coefficients
  function coefficients(lr, momentum, damping) {
    return [-lr * (1 - damping), (-lr * damping) / (1 - momentum), momentum, 1];
  }

  function path(loss, lr, momentum, damping) {
    const [a, b, c, d] = coefficients(lr, momentum, damping);
    let theta = [-1.8, 0.8];
    let s = [0, 0];
    const points = [theta];
    for (let k = 0; k < steps; k++) {
      const v = loss.gradient(...theta);
      theta = theta.map((t, i) => t + a * s[i] + b * v[i]);
      s = s.map((old, i) => c * old + d * v[i]);
      points.push(theta);
      if (!theta.every((t) => Math.abs(t) < 1e6)) break;
    }
    return points;
  }

  function start() {
    const canvas = document.getElementById("play-canvas");
    if (!canvas) return;
    const byId = (name) => document.getElementById("play-" + name);
    const context = canvas.getContext("2d");
    const place = ([x, y]) => [(x + 2.2) * 145, 160 - y * 145];

    function draw() {
      const momentum = Number(byId("m").value);
      byId("d").min = (1 - momentum).toFixed(3);
      const damping = Math.max(Number(byId("d").value), 1 - momentum);
      const lr = 10 ** Number(byId("lr").value);
      const loss = losses[byId("loss").value];
      byId("m-out").value = momentum.toFixed(3);
      byId("d-out").value = damping.toFixed(2);
      byId("lr-out").value = lr.toPrecision(2);

      const points = path(loss, lr, momentum, damping);
      const values = points.map(([x, y]) => loss.value(x, y));
      context.clearRect(0, 0, canvas.width, canvas.height);
      for (let i = 0; i < canvas.width; i += 8) {
        for (let j = 0; j < canvas.height; j += 8) {
          const value = loss.value((i + 4) / 145 - 2.2, (160 - j - 4) / 145);
          const share = Math.min(1, Math.sqrt(value) / 3);
          context.fillStyle = `rgba(120, 130, 160, ${0.08 + 0.4 * share})`;
          context.fillRect(i, j, 8, 8);
        }
      }
      context.beginPath();
      points.forEach((point, k) => context[k ? "lineTo" : "moveTo"](...place(point)));
      context.strokeStyle = "#d9822b";
      context.lineWidth = 2;
      context.stroke();
      const near = values.findIndex((value) => value < 0.01);
      const last = values[values.length - 1];
      byId("says").textContent =
        near >= 0 ? `The loss falls under 0.01 after ${near} steps; after ${points.length - 1} it is ${last.toPrecision(2)}.`
        : last < values[0] ? `After ${points.length - 1} steps the loss is ${last.toPrecision(2)}.`
        : `It diverges: after ${points.length - 1} steps the loss is ${last.toPrecision(2)}.`;
    }

    for (const name of ["m", "d", "lr", "loss"]) byId(name).addEventListener("input", draw);
    draw();
  }

  if (document.readyState === "loading") document.addEventListener("DOMContentLoaded", start);
  else start();
})();
