// Under the pointer: a line across the picture, and that moment's row of the table behind it.
for (const chart of document.querySelectorAll(".chart")) {
  const [svg, tip, cross] = ["svg", ".tip", ".cross"].map((it) => chart.querySelector(it));
  const places = chart.querySelector("[data-places]").dataset.places.split(" ").map(Number);
  const names = [...chart.querySelectorAll("thead th")].map((it) => it.textContent);
  const rows = chart.querySelector("tbody").rows;
  const [width, height] = [svg.viewBox.baseVal.width, svg.viewBox.baseVal.height];

  const leave = () => {
    tip.hidden = true;
    cross.setAttribute("d", "");
  };
  svg.addEventListener("pointermove", (event) => {
    const box = svg.getBoundingClientRect();
    const x = ((event.clientX - box.left) / box.width) * width;
    let index = places.findLastIndex((place) => place <= x);
    if (index < 0) index = 0;
    cross.setAttribute("d", `M${places[index]} 10V${height - 26}`);
    const [time, ...figures] = [...rows[index].cells].map((it) => it.textContent);
    tip.replaceChildren(
      Object.assign(document.createElement("b"), { textContent: time }),
      ...figures.map((figure, at) =>
        Object.assign(document.createElement("div"), { textContent: `${names[at + 1]}: ${figure}` }),
      ),
    );
    tip.hidden = false;
    const left = (places[index] / width) * box.width;
    const beside = left > box.width / 2 ? left - tip.offsetWidth - 12 : left + 12;
    tip.style.left = `${Math.max(0, beside)}px`;
  });
  svg.addEventListener("pointerleave", leave);
}
