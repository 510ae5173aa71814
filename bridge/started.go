package bridge

// Started is closed when programs are told of readers: [Config.Ready] is closed
// and each reader's first try at its card is over, or both have had their time.
// It stays open before [Service.Serve].
func (s *Service) Started() <-chan struct{} { return s.started }
