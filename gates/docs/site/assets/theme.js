// Before the page is drawn: the scheme that the reader chose, if any.
try {
  const chosen = localStorage.getItem('theme');
  if (chosen === 'light' || chosen === 'dark') document.documentElement.dataset.theme = chosen;
} catch { /* storage may be forbidden; then the system decides */ }
