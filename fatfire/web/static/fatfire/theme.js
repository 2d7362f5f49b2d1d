// Before the first paint, hence no `defer`; a file of its own, so that the policy needs no exception.
(() => {
  const root = document.documentElement;
  root.classList.add("script");
  const theme = localStorage.getItem("theme");
  if (theme) root.dataset.theme = theme;
})();
