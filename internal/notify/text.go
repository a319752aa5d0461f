package notify

import "fmt"

// Hashes are the SMS Retriever hashes of the two apps (11 characters, from each app's signing key).
// With one, Android gives the message to the app by itself.
type Hashes struct {
	Customer string // SMS_RETRIEVER_HASH_CUSTOMER
	Captain  string // SMS_RETRIEVER_HASH_CAPTAIN: transporters and drivers
}

// OwnText is the message with the code of one's own login. minutes is its life.
func OwnText(code string, minutes int, hash string) string {
	return retrievable(fmt.Sprintf("%s is your Weelo login code. It is valid for %d minutes. Do not share it with anyone.", code, minutes), hash)
}

// DriverText is the message to a transporter with the code of a driver's login. It names the driver,
// because several may log in at once and because a stranger may ask for the code by phone.
func DriverText(code, firstName, lastDigits string, minutes int, hash string) string {
	who := "your driver"
	if firstName != "" {
		who += " " + firstName
	}
	return retrievable(fmt.Sprintf("%s is the Weelo login code for %s (number ending %s). Give it only to this driver. Valid for %d minutes.",
		code, who, lastDigits, minutes), hash)
}

// OnboardText is the message to a driver with the code that takes him into a fleet. It names the
// fleet, because the code is his consent.
func OnboardText(code, fleetName string, minutes int, hash string) string {
	who := "a transporter"
	if fleetName != "" {
		who = fleetName
	}
	return retrievable(fmt.Sprintf("%s is the code with which you join the fleet of %s on Weelo. Tell it only to them, and only if you want to drive for them. Valid for %d minutes.",
		code, who, minutes), hash)
}

// retrievable frames a message as the SMS Retriever wants it: "<#>" first, the hash on a last line.
func retrievable(text, hash string) string {
	if hash == "" {
		return text
	}
	return "<#> " + text + "\n" + hash
}
