document$.subscribe(({ body }) => {
  // On a phone, equations that stand side by side stand one under the other.
  if (innerWidth < 640) {
    for (const { firstChild: text } of body.querySelectorAll("div.arithmatex")) {
      if (!text.textContent.includes("\\qquad")) continue
      const lines = text.textContent.slice(2, -2).split("\\qquad").join("\\\\[0.4em]")
      text.textContent = `\\[\\begin{gathered}${lines}\\end{gathered}\\]`
    }
  }
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
