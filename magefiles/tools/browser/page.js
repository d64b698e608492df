// What the auditor asks of a page. Everything returns plain data.
window.audit = {
  path(e) {
    const parts = [];
    for (; e && e.nodeType === 1 && parts.length < 4; e = e.parentElement) {
      parts.unshift(e.localName + (e.id ? `#${e.id}` : e.classList.length ? `.${e.classList[0]}` : ''));
      if (e.id) break;
    }
    return parts.join(' > ');
  },
  visible(e) {
    const box = e.getBoundingClientRect();
    return e.checkVisibility({ checkVisibilityCSS: true }) && box.width > 0 && box.height > 0;
  },
  // Waits for pictures and fonts; returns the pictures that cannot be drawn.
  async settled() {
    await document.fonts.ready;
    const images = [...document.images];
    for (const image of images) image.loading = 'eager';
    await Promise.all(images.map((image) => image.decode().catch(() => {})));
    return images.filter((image) => !image.complete || image.naturalWidth === 0).map((image) => image.getAttribute('src'));
  },
  ground() { return getComputedStyle(document.body).backgroundColor; },
  async axe() {
    const result = await axe.run(document, { runOnly: ['wcag2a', 'wcag2aa', 'wcag21a', 'wcag21aa', 'wcag22aa', 'best-practice'], resultTypes: ['violations'], preload: false });
    return {
      rules: result.violations.length + result.passes.length + result.incomplete.length,
      violations: result.violations.map((v) => ({
        rule: v.id, help: v.help, count: v.nodes.length, element: v.nodes[0].target.join(' '),
        detail: [...v.nodes[0].any, ...v.nodes[0].all, ...v.nodes[0].none].map((c) => c.message).join('; ').slice(0, 300),
      })),
    };
  },
  // Elements that reach beyond the right edge, when the page scrolls sideways.
  wide() {
    const page = document.documentElement;
    if (page.scrollWidth <= page.clientWidth) return [];
    const over = [...document.body.querySelectorAll('*')].filter((e) => {
      if (e.getBoundingClientRect().right <= page.clientWidth + 1) return false;
      for (let p = e.parentElement; p && p !== document.body; p = p.parentElement) if (getComputedStyle(p).overflowX !== 'visible') return false;
      return true;
    });
    return [`${page.scrollWidth} pixels, ${page.clientWidth} are there`, ...over.slice(0, 5).map(this.path)];
  },
  reached: new Set(),
  stop() {
    const e = document.activeElement;
    if (!e || e === document.body) return null;
    const again = this.reached.has(e);
    this.reached.add(e);
    const style = getComputedStyle(e);
    return {
      path: this.path(e), text: (e.textContent || e.getAttribute('aria-label') || '').trim().slice(0, 80), again,
      navigation: !!e.closest('nav.pages'),
      seen: style.outlineStyle !== 'none' && parseFloat(style.outlineWidth) > 0,
    };
  },
  unreached() {
    const controls = document.querySelectorAll('a[href], button, input, select, textarea, summary, [role=button], [role=link], [onclick]');
    return [...controls].filter((e) => this.visible(e) && !e.disabled && !this.reached.has(e)).map((e) => this.path(e)).slice(0, 20);
  },
  toggle() {
    const before = this.ground();
    document.getElementById('theme')?.click();
    return [before, this.ground()];
  },
  searching() { return document.activeElement?.type === 'search'; },
  async results() {
    for (let i = 0; i < 100; i++) {
      const lines = document.querySelectorAll('[role=listbox]:not([hidden]) [role=option]:not([aria-disabled=true])');
      if (lines.length) return lines.length;
      await new Promise((resolve) => setTimeout(resolve, 50));
    }
    return 0;
  },
};
0;
