module.exports = {
  leat: require('leat'),
  sources: require('leat/sources'),
  errors: require('leat/errors'),
  batch: require('leat/batch'),
};
