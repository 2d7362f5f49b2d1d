// Select2 leaves its boxes without a name: give each that of its label, for those who hear it.
new MutationObserver(() => {
  for (const box of document.querySelectorAll(".select2-selection__rendered:not([aria-label])")) {
    const select = box.closest(".select2").previousElementSibling;
    const label = select?.labels[0] ?? document.querySelector(`label[for="${select?.id}"]`);
    box.setAttribute("aria-label", label?.textContent.trim() || select?.name || "Search");
  }
}).observe(document, { childList: true, subtree: true });
