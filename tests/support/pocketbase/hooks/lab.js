// What more than one handler needs: handlers run in isolated contexts and see
// nothing of their own file, so each one loads this with require().
module.exports = {
  // Sends `data` (text, or an array of bytes) to every subscription of `topic`,
  // whatever its options, and says how many that were.
  send(topic, data) {
    const clients = $app.subscriptionsBroker().clients();
    let sent = 0;
    for (const id in clients) {
      for (const name in clients[id].subscriptions(topic + "?")) {
        clients[id].send(new SubscriptionMessage({ name, data }));
        sent++;
      }
    }
    return sent;
  },

  // `jobs/finished` or `jobs/failed`, when a job has just become one of them.
  announce(job, before) {
    const state = job.get("state");
    if (state === before || (state !== "finished" && state !== "failed")) return;
    this.send("jobs/" + state, JSON.stringify({ job: job.id, name: job.get("name"), ok: state === "finished" }));
  },
};
