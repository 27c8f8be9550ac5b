// Loaded before the first paint, so that a chosen theme never flashes into being. Everything else is a module.
try {
  const chosen = localStorage.getItem("vitrine-theme");
  if (chosen === "light" || chosen === "dark") document.documentElement.dataset.theme = chosen;
} catch {
  // Storage is switched off: the theme of the system it is.
}
