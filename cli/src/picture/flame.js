// A click on a frame makes it as wide as the picture, a click on the lowest one shows all again; "/" searches.
(() => {
  const svg = document.currentScript ? document.currentScript.ownerSVGElement || document.documentElement : document.documentElement;
  const full = Number(svg.getAttribute("width")) - 20;
  const letter = 7.3;
  const frames = Array.from(svg.querySelectorAll("g.frame"), (g) => {
    const rect = g.querySelector("rect");
    return { g, rect, text: g.querySelector("text"), name: g.dataset.name, depth: Number(g.dataset.depth),
      x: Number(rect.getAttribute("x")) - 10, width: Number(rect.getAttribute("width")) };
  });
  const show = (chosen) => {
    const scale = full / chosen.width;
    for (const frame of frames) {
      const below = frame.depth < chosen.depth;
      const left = below ? 0 : (frame.x - chosen.x) * scale;
      const width = below ? full : frame.width * scale;
      const covers = frame.x <= chosen.x + 0.01 && frame.x + frame.width >= chosen.x + chosen.width - 0.01;
      const within = frame.x >= chosen.x - 0.01 && frame.x + frame.width <= chosen.x + chosen.width + 0.01;
      frame.g.style.display = (below ? covers : within) ? "" : "none";
      frame.rect.setAttribute("x", left + 10);
      frame.rect.setAttribute("width", width);
      const room = Math.floor((width - 6) / letter);
      const name = frame.name;
      frame.text.textContent = name.length <= room ? name : room < 3 ? "" : name.slice(0, room - 2) + "..";
      frame.text.setAttribute("x", left + 13);
    }
  };
  for (const frame of frames) frame.g.addEventListener("click", () => show(frame));
  svg.addEventListener("keydown", search);
  window.addEventListener("keydown", search);
  function search(event) {
    if (event.key !== "/" || event.handled) return;
    event.handled = true;
    event.preventDefault();
    const wanted = prompt("Part of a function's name; nothing ends the search:") || "";
    for (const frame of frames) {
      const found = wanted !== "" && frame.name.includes(wanted);
      frame.rect.setAttribute("stroke", found ? "#000000" : "#ffffff");
      frame.rect.setAttribute("stroke-width", found ? "2" : "0.5");
    }
  }
})();
