// The hooks of the test server. They have to work on PocketBase 0.30.0 and
// 0.40.6; those that a test adds stand beside this file.

// Which of the servers on this machine is this one?
routerAdd("GET", "/api/lab/id", (e) => e.json(200, { id: $os.getenv("BOSBASE_LAB_ID") }));

// A message to a custom topic: {topic, data} is sent as JSON, {topic, text} and
// {topic, bytes} as they are.
routerAdd("POST", "/api/lab/emit", (e) => {
  const { topic, data, text, bytes } = e.requestInfo().body;
  const payload = bytes ?? text ?? JSON.stringify(data);
  return e.json(200, { sent: require(`${__hooks}/lab.js`).send(topic, payload) });
});

// Many messages to a custom topic, numbered from 0: {topic, count, text}.
routerAdd("POST", "/api/lab/burst", (e) => {
  const { topic, count, text } = e.requestInfo().body;
  const lab = require(`${__hooks}/lab.js`);
  for (let n = 0; n < count; n++) lab.send(topic, JSON.stringify({ n, text }));
  return e.noContent(204);
});

// Who is connected, with which subscriptions, and as whom.
routerAdd("GET", "/api/lab/clients", (e) => {
  const clients = $app.subscriptionsBroker().clients();
  const list = [];
  for (const id in clients) {
    const auth = clients[id].get("auth");
    list.push({
      id,
      subscriptions: Object.keys(clients[id].subscriptions()),
      auth: auth ? auth.collection().name + "/" + auth.id : null,
    });
  }
  return e.json(200, list);
});

// How long the connections of from now on may live, in ms: {idle, max}.
// The store is shared by Go and all contexts: text only.
routerAdd("POST", "/api/lab/limits", (e) => {
  $app.store().set("lab.limits", JSON.stringify(e.requestInfo().body));
  return e.noContent(204);
});

// Many posts at once, past the feed: {count, ties}, so many changed in each millisecond.
routerAdd("POST", "/api/lab/fill", (e) => {
  const { count, ties } = e.requestInfo().body;
  $app
    .db()
    .newQuery(
      "INSERT INTO posts (id, title, body, status, stars, author, created, updated) " +
        "WITH RECURSIVE numbers(n) AS (SELECT 0 UNION ALL SELECT n + 1 FROM numbers WHERE n + 1 < {:count}), " +
        "stamped AS (SELECT n, strftime('%Y-%m-%d %H:%M:%fZ', 'now', printf('-%f seconds', (n / {:ties}) * 0.001)) AS at FROM numbers) " +
        "SELECT substr(lower(hex(randomblob(8))), 1, 15), 'post ' || n, 'the body of post ' || n, 'published', n % 5, '', at, at FROM stamped",
    )
    .bind({ count: Number(count), ties: Number(ties) })
    .execute();
  return e.noContent(204);
});

onRealtimeConnectRequest((e) => {
  const query = e.requestInfo().query;
  const limits = JSON.parse($app.store().get("lab.limits") || "{}");
  const idle = Number(query["idle"] || limits.idle || 0);
  const max = Number(query["max"] || limits.max || 0);
  const ms = 1000000; // durations are in nanoseconds
  if (idle) e.idleTimeout = idle * ms;
  if (max && "maxTimeout" in e) e.maxTimeout = max * ms; // since 0.38.2
  e.next();
});

onRealtimeSubscribeRequest((e) => {
  for (const topic of e.subscriptions) {
    if (topic.split("?")[0] === "forbidden/topic") throw new ForbiddenError("The topic is not for you.");
  }
  e.next();
});

onRecordAfterCreateSuccess((e) => {
  e.next();
  require(`${__hooks}/lab.js`).announce(e.record, "");
}, "jobs");

onRecordAfterUpdateSuccess((e) => {
  e.next();
  require(`${__hooks}/lab.js`).announce(e.record, e.record.original().get("state"));
}, "jobs");
