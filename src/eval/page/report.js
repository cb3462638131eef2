// report.js - draws an evaluation's report from the JSON that stands in the page; writes text, never markup
'use strict';
(() => {
  const { results, comparison, legend } = JSON.parse(document.getElementById('data').textContent);
  const PAGE_SIZE = 50;
  const el = (name, className, ...children) => {
    const node = document.createElement(name);
    if (className) node.className = className;
    node.append(...children.filter((child) => child !== null && child !== undefined));
    return node;
  };
  const svg = (name, attributes, ...children) => {
    const node = document.createElementNS('http://www.w3.org/2000/svg', name);
    for (const [key, value] of Object.entries(attributes)) node.setAttribute(key, value);
    node.append(...children);
    return node;
  };
  const titles = Object.fromEntries(legend.map((one) => [one.name, one]));
  const show = (name, value) => (titles[name]?.in_ms ? `${Math.round(value)} ms` : value.toFixed(3));
  const figure = (name) => results.figures[name];

  // --- what came of a question ---
  const outcome = (row) => {
    const answered = row.kind === 'answer';
    if (row.answerable === false) return answered ? ['answered, not in the documents', 'bad'] : ['refused', 'good'];
    if (!answered) return [row.kind === 'no_answer' ? 'refused' : row.kind.replace('_', ' '), row.answerable ? 'warn' : ''];
    if (row.right === undefined) return ['answered', row.answerable ? 'good' : ''];
    return row.right ? ['right', 'good'] : ['not right', 'bad'];
  };

  // --- figures ---
  const delta = (name) => {
    const both = comparison?.figures[name];
    if (!both || both.before === undefined || both.after === undefined) return null;
    const change = both.after - both.before;
    const worth = titles[name].at_most ? -change : change;
    const small = Math.abs(change) < (titles[name].in_ms ? 1 : 0.0005);
    const text = `${change >= 0 ? '+' : '−'}${titles[name].in_ms ? Math.round(Math.abs(change)) : Math.abs(change).toFixed(3)}`;
    return el('span', `delta ${small ? 'flat' : worth > 0 ? 'up' : 'down'}`, small ? 'unchanged' : text);
  };
  const tile = (name) => {
    if (!figure(name)) return null;
    const { value } = figure(name);
    const number = titles[name].in_ms ? [String(Math.round(value)), el('small', '', ' ms')] : [value.toFixed(2)];
    return el('div', 'tile', el('div', 'name', titles[name].title), el('div', 'value', ...number), delta(name));
  };
  const bar = (name) => {
    if (!figure(name)) return null;
    const { value, of } = figure(name);
    const fill = el('div', `fill${titles[name].at_most ? ' cost' : ''}`);
    fill.style.width = `${Math.max(0, Math.min(1, value)) * 100}%`;
    const track = el('div', 'track', fill);
    const before = comparison?.figures[name]?.before;
    if (before !== undefined) {
      const was = el('div', 'was');
      was.style.left = `calc(${Math.max(0, Math.min(1, before)) * 100}% - 1px)`;
      was.title = `before: ${before.toFixed(3)}`;
      track.append(was);
    }
    const row = el('div', 'bar', el('span', '', titles[name].title),
      el('span', 'number', `${value.toFixed(3)} `, el('span', 'of', `of ${of}`)), track);
    row.title = titles[name].what;
    return row;
  };
  const card = (title, children, note) => {
    const inside = children.filter(Boolean);
    return inside.length === 0 ? null : el('section', 'card', el('h3', '', title), ...inside, note ? el('p', 'note', note) : null);
  };

  // --- charts ---
  const W = 340, H = 240, LEFT = 34, BOTTOM = 38, TOP = 10, RIGHT = 8;
  const x = (share) => LEFT + share * (W - LEFT - RIGHT);
  const y = (share) => H - BOTTOM - share * (H - BOTTOM - TOP);
  const frame = (label, xLabel, ticks, yTicks) => {
    const root = svg('svg', { viewBox: `0 0 ${W} ${H}`, role: 'img', 'aria-label': label });
    for (const [at, text] of yTicks) {
      root.append(svg('line', { class: 'grid-line', x1: LEFT, x2: W - RIGHT, y1: y(at), y2: y(at) }),
        svg('text', { x: LEFT - 6, y: y(at) + 4, 'text-anchor': 'end' }, text));
    }
    for (const [at, text] of ticks) root.append(svg('text', { x: x(at), y: H - BOTTOM + 15, 'text-anchor': 'middle' }, text));
    root.append(svg('text', { x: x(0.5), y: H - 4, 'text-anchor': 'middle' }, xLabel));
    return root;
  };
  const shares = [[0, '0'], [0.25, '.25'], [0.5, '.5'], [0.75, '.75'], [1, '1']];
  const reliability = () => {
    const bins = results.calibration;
    if (!bins || bins.length === 0) return null;
    const root = frame('How often the passages hold the answer, by what confidence said', 'confidence said', shares, shares);
    root.append(svg('line', { class: 'ideal', x1: x(0), y1: y(0), x2: x(1), y2: y(1) }));
    root.append(svg('path', { class: 'path', d: bins.map((bin, i) => `${i ? 'L' : 'M'}${x(bin.said)} ${y(bin.true)}`).join('') }));
    const most = Math.max(...bins.map((bin) => bin.count));
    for (const bin of bins) {
      root.append(svg('circle', { class: 'mark', cx: x(bin.said), cy: y(bin.true), r: 3 + 6 * Math.sqrt(bin.count / most) },
        svg('title', {}, `said ${bin.said.toFixed(2)}, true ${bin.true.toFixed(2)}, ${bin.count} questions`)));
    }
    return root;
  };
  const columns = (label, xLabel, groups) => { // groups: [{label, values: [..]}]
    const most = Math.max(1, ...groups.flatMap((group) => group.values));
    const unit = 10 ** Math.floor(Math.log10(Math.max(1, most / 4)));
    const step = [1, 2, 2.5, 5, 10].map((one) => one * unit).find((one) => one * 4 >= most && Number.isInteger(one)) ?? 10 * unit;
    const top = step * Math.ceil(most / step);
    const lines = [];
    for (let at = 0; at <= top; at += step) lines.push([at / top, String(at)]);
    const width = 1 / groups.length;
    const root = frame(label, xLabel, groups.map((group, i) => [(i + 0.5) * width, group.label]), lines);
    groups.forEach((group, i) => {
      const room = (x(width) - x(0)) * 0.76;
      const each = room / group.values.length;
      group.values.forEach((value, k) => {
        if (value === 0) return;
        root.append(svg('rect', { class: k ? 'second' : 'mark', x: x((i + 0.5) * width) - room / 2 + k * each, y: y(value / top),
          width: Math.max(1, each - 1), height: y(0) - y(value / top), rx: 2 }, svg('title', {}, `${group.label}: ${value}`)));
      });
    });
    return root;
  };
  const ranks = () => {
    const judged = results.rows.filter((row) => row.first_relevant !== undefined);
    if (judged.length === 0) return null;
    const at = (test) => [judged.filter((row) => test(row.first_relevant)).length];
    return columns('At which rank the first relevant passage stands', 'rank of the first relevant passage',
      [1, 2, 3, 4, 5].map((rank) => ({ label: String(rank), values: at((one) => one === rank) }))
        .concat([{ label: '6–10', values: at((one) => one > 5) }, { label: 'none', values: at((one) => one === 0) }]));
  };
  const confidences = () => {
    const known = results.rows.filter((row) => row.held !== undefined);
    if (known.length === 0) return null;
    const groups = Array.from({ length: 10 }, (_, i) => ({ label: `.${i}`, values: [0, 0] }));
    for (const row of known) groups[Math.min(9, Math.floor(row.confidence * 10))].values[row.held ? 0 : 1] += 1;
    const key = (className, text) => el('span', '', el('i', className), text);
    return [columns('Confidence of questions whose answer is there, and of others', 'confidence, from', groups),
      el('div', 'legend', key('', 'passages hold the answer'), key('b', 'they do not'))];
  };

  // --- questions ---
  const passagesList = (passages) => el('ol', 'passages', ...passages.map((one, i) => el('li', one.relevant ? 'relevant' : '',
    el('div', 'where', `${i + 1}. ${one.document}${one.heading ? ` › ${one.heading}` : ''}${one.page ? `, page ${one.page}` : ''}`,
      one.relevant ? ' ' : null, one.relevant ? el('span', 'badge good', 'relevant') : null),
    el('p', 'quote', one.quote))));
  const questionDetails = (row) => {
    const [text, mood] = outcome(row);
    const rank = row.first_relevant === undefined ? '' : row.first_relevant === 0 ? 'not found' : `rank ${row.first_relevant}`;
    const details = el('details', '', el('summary', '', el('span', 'question', row.question),
      el('span', 'rank', rank), el('span', `badge ${mood}`, text)));
    details.addEventListener('toggle', () => {
      if (!details.open || details.childElementCount > 1) return;
      const figures = ['confidence', ...legend.map((one) => one.name)].filter((name) => typeof row[name] === 'number')
        .map((name) => `${titles[name]?.title ?? name} ${row[name].toFixed(2)}`);
      details.append(el('div', 'inside', el('p', 'answer', row.answer), el('p', 'figures', figures.join(' · ')), passagesList(row.passages)));
    });
    return details;
  };
  const questionList = () => {
    const tests = {
      All: () => true,
      'Not right': (row) => outcome(row)[1] === 'bad',
      Refused: (row) => row.answerable !== false && row.kind !== 'answer',
      'Not found': (row) => row.first_relevant === 0,
      'Ranked low': (row) => row.first_relevant > 3,
    };
    const list = el('div', ''), buttons = el('div', 'filters');
    const search = el('input', '');
    search.type = 'search';
    search.placeholder = 'Words of a question';
    search.setAttribute('aria-label', 'Words of a question');
    let chosen = 'All', shown = PAGE_SIZE;
    const draw = () => {
      const words = search.value.trim().toLowerCase();
      const rows = results.rows.filter((row) => tests[chosen](row) && row.question.toLowerCase().includes(words));
      list.replaceChildren(...rows.slice(0, shown).map(questionDetails));
      if (rows.length === 0) list.append(el('p', 'about', 'No question is like that.'));
      if (rows.length > shown) {
        const more = el('button', 'more', `Show ${Math.min(PAGE_SIZE, rows.length - shown)} more of ${rows.length - shown}`);
        more.addEventListener('click', () => { shown += PAGE_SIZE; draw(); });
        list.append(more);
      }
      for (const button of buttons.querySelectorAll('button')) button.setAttribute('aria-pressed', String(button.dataset.name === chosen));
    };
    for (const name of Object.keys(tests)) {
      const count = results.rows.filter(tests[name]).length;
      if (count === 0 && name !== 'All') continue;
      const button = el('button', '', `${name} ${count}`);
      button.dataset.name = name;
      button.addEventListener('click', () => { chosen = name; shown = PAGE_SIZE; draw(); });
      buttons.append(button);
    }
    search.addEventListener('input', () => { shown = PAGE_SIZE; draw(); });
    buttons.append(search);
    draw();
    return [buttons, list];
  };
  const side = (title, one) => el('div', '', el('h4', '', `${title}, confidence ${one.confidence.toFixed(2)}`), el('p', 'answer', one.answer));
  const changes = () => comparison.changed.map((one) => {
    const details = el('details', '', el('summary', '', el('span', 'question', one.question),
      el('span', `badge ${one.change === 'better' ? 'good' : 'bad'}`, one.change)));
    details.append(el('div', 'inside', el('p', 'why', one.why),
      el('div', 'sides', side(`Before (${comparison.before})`, one.before), side(`After (${comparison.after})`, one.after))));
    return details;
  });

  // --- the page ---
  const when = new Date(results.created_at);
  const judges = (results.judges ?? []).join(' and ');
  const page = document.getElementById('page');
  document.title = `${results.name}: evaluation`;
  page.replaceChildren(
    el('h1', '', results.name),
    el('p', 'about', `${results.questions} questions · ${Number.isNaN(when.getTime()) ? results.created_at : when.toLocaleString()}`
      + `${judges ? ` · judged by ${judges === 'encoder' ? 'the sentence encoder' : judges === 'words' ? 'words' : judges}` : ''}`),
    el('div', 'tiles', ...['ndcg_10', 'recall_10', 'right', 'faithfulness', 'refused_unanswerable', 'refused_answerable', 'calibration_error', 'p99_ms']
      .map(tile).filter(Boolean)),
  );
  if (comparison) {
    page.append(el('h2', '', `Against ${comparison.before}: ${comparison.better} better, ${comparison.worse} worse, ${comparison.same} the same`),
      ...changes());
  }
  page.append(el('h2', '', 'Figures'), el('div', 'grid', ...[
    card('Finding', ['ndcg_10', 'mrr', 'recall_5', 'recall_10', 'hit_1', 'hit_5'].map(bar)),
    card('Answers, as RAGAS defines them', ['context_precision', 'context_recall', 'faithfulness', 'answer_relevancy'].map(bar)),
    card('Answered and refused', ['right', 'answered', 'refused_answerable', 'refused_unanswerable'].map(bar), 'Orange: the less the better.'),
    card('Rank of the first relevant passage', [ranks()]),
    card('Confidence against truth', [reliability()], `Expected calibration error ${figure('calibration_error') ? show('calibration_error', figure('calibration_error').value) : 'not measured'}. On the dashed line, what is said at 0.8 is true eight times in ten.`),
    card('Confidence by what the documents hold', confidences() ?? []),
  ].filter(Boolean)), el('h2', '', 'Questions'), ...questionList());
})();
