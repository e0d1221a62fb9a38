// Menus close when a reader goes on: by a click elsewhere, or by Escape.

/** Closes the menus that a reader has left. */
export function closeLeftMenus() {
  const close = (isLeft) => {
    for (const menu of document.querySelectorAll(".menu[open]")) {
      if (isLeft(menu)) menu.open = false;
    }
  };
  addEventListener("click", ({ target }) => close((menu) => !menu.contains(target)));
  addEventListener("keydown", ({ key, target }) => {
    if (key !== "Escape") return;
    close((menu) => menu.contains(target));
    target.closest(".menu")?.querySelector("summary").focus();
  });
}
