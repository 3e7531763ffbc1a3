// Copy buttons: shown only where there is a clipboard.

export function copies() {
  if (!navigator.clipboard) return;
  for (const button of document.querySelectorAll("[data-copy]")) button.hidden = false;
  document.addEventListener("click", async (event) => {
    const button = event.target.closest("[data-copy]");
    const source = button?.parentElement.querySelector("[data-copy-source]");
    if (!source) return;
    try {
      await navigator.clipboard.writeText(source.textContent.trim());
    } catch {
      getSelection().selectAllChildren(source); // not allowed: leave it selected
      return;
    }
    done(button);
  });
}

// done says that it worked, to eyes and to screen readers, for a while.
function done(button) {
  const label = button.getAttribute("aria-label");
  if (label === button.dataset.done) return;
  button.setAttribute("aria-label", button.dataset.done);
  button.dataset.doneNow = "";
  announce(button.dataset.done);
  setTimeout(() => {
    button.setAttribute("aria-label", label);
    delete button.dataset.doneNow;
  }, 2000);
}

function announce(text) {
  const live = document.getElementById("live");
  if (live) live.textContent = text;
}
