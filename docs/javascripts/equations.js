document$.subscribe(({ body }) => {
  renderMathInElement(body, {
    delimiters: [
      { left: "$$", right: "$$", display: true },
      { left: "$", right: "$", display: false },
      { left: "\\(", right: "\\)", display: false },
      { left: "\\[", right: "\\]", display: true },
    ],
  })
  for (const cell of body.querySelectorAll("td")) {
    cell.classList.toggle("spread", cell.textContent.includes("±"))
  }
})
