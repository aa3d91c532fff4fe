// Under the pointer: a line across the picture, and what its column holds.
const digits = (number) => String(number).padStart(2, "0");
const moment = (seconds) => {
  const [days, left] = [Math.floor(seconds / 86400), Math.round(seconds % 86400)];
  const clock = [Math.floor(left / 3600), Math.floor(left / 60) % 60, left % 60].map(digits).join(":");
  return `${days}d ${clock}`;
};
for (const chart of document.querySelectorAll("[data-ready]")) {
  const [svg, tip, cross] = ["svg", ".tip", ".cross"].map((it) => chart.querySelector(it));
  const { from, until, demand } = chart.closest("[data-demand]").dataset;
  const [ready, demands] = [chart.dataset.ready, demand].map((it) => it.split(" "));
  const [left, right, height] = [64, svg.viewBox.baseVal.width - 16, svg.viewBox.baseVal.height];

  const leave = () => {
    tip.hidden = true;
    cross.setAttribute("d", "");
  };
  svg.addEventListener("pointermove", (event) => {
    const box = svg.getBoundingClientRect();
    const x = ((event.clientX - box.left) / box.width) * svg.viewBox.baseVal.width;
    const share = Math.min(Math.max((x - left) / (right - left), 0), 1);
    const index = Math.min(Math.floor(share * ready.length), ready.length - 1);
    const at = left + ((index + 0.5) / ready.length) * (right - left);
    cross.setAttribute("d", `M${at} 10V${height - 44}`);
    const words = [`most demand: ${demands[index]}`, `fewest ready: ${ready[index]}`];
    tip.replaceChildren(
      Object.assign(document.createElement("b"), {
        textContent: moment(Number(from) + (index / ready.length) * (until - from)),
      }),
      ...words.map((textContent) => Object.assign(document.createElement("div"), { textContent })),
    );
    tip.hidden = false;
    const place = (at / svg.viewBox.baseVal.width) * box.width;
    tip.style.left = `${Math.max(0, place > box.width / 2 ? place - tip.offsetWidth - 12 : place + 12)}px`;
  });
  svg.addEventListener("pointerleave", leave);
}
